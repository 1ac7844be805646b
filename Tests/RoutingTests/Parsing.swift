import Routing

/// The table of `text`, as if it stood in /srv/capelet/capelet.yaml.
func table(_ text: String) throws -> RouteTable {
    try RoutingFile.parse(text: text, path: "capelet.yaml", baseDirectory: "/srv/capelet")
}

/// What is wrong with `text`, one line each; empty when nothing is.
func problems(_ text: String) -> [String] {
    do throws(RoutingError) {
        _ = try RoutingFile.parse(text: text, path: "capelet.yaml", baseDirectory: "/srv/capelet")
        return []
    } catch {
        return error.problems.map(\.description)
    }
}
