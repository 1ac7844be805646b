/// Checks that watched folders do not get in each other's way.
enum SourceFolders {
    /// Notes folders that are watched twice, and a data directory that would watch itself; warns of folders that are not there.
    static func check(_ domains: [TableReader.DomainDraft], data: String, log: ProblemLog) {
        var folders: [(domain: String, path: String, canonical: String)] = []
        let dataCanonical = FilePath.canonical(data)
        for domain in domains {
            guard case .directory(let source) = domain.route.source, let at = domain.sourceAt else { continue }
            let name = domain.route.name
            let path = source.path
            let canonical = FilePath.canonical(path)
            let watches = "domain '\(name)' watches '\(path)'"
            if FilePath.holds(canonical, dataCanonical) {
                log.add(at, "\(watches), which holds the data directory '\(data)': its journal would come in as events")
            } else if FilePath.holds(dataCanonical, canonical) {
                log.add(at, "\(watches), which lies in the data directory '\(data)'", hint: "watch a folder outside it")
            }
            for other in folders {
                if other.canonical == canonical {
                    let hint = "list the lambdas of both under '\(other.domain)'"
                    log.add(at, "\(watches), which domain '\(other.domain)' watches already", hint: hint)
                } else if FilePath.holds(other.canonical, canonical) {
                    log.add(at, "\(watches), which lies in '\(other.path)' of domain '\(other.domain)'")
                } else if FilePath.holds(canonical, other.canonical) {
                    log.add(at, "\(watches), which holds '\(other.path)' of domain '\(other.domain)'")
                }
            }
            folders.append((name, path, canonical))
            if !FilePath.isFolder(path) { log.warn(at, "\(watches), which is not a folder yet") }
        }
    }
}
