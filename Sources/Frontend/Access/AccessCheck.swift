import HTTPTypes
import Hummingbird
import NIOCore

/// Asks requests over TCP for a token, as soon as there are any.
///
/// Everything wants one of the administration, unless it is named here: whether the host lives (`/healthz`, `/readyz`) is open, and events want
/// one for their domain, which `EventRoutes` looks at once it knows the domain. So a route that somebody adds is closed until it is opened.
struct AccessCheck: RouterMiddleware {
    let gate: AccessGate

    func handle(_ request: Request, context: FrontendContext, next: (Request, FrontendContext) async throws -> Response) async throws
        -> Response
    {
        if gate.isOpen { return try await next(request, context) }
        var context = context
        if request.uri.path == "/healthz" || request.uri.path == "/readyz" {
            context.caller = .stranger
            return try await next(request, context)
        }
        let place = AccessGate.place(of: context.channel.remoteAddress?.ipAddress)
        let grant = try gate.grant(request.headers[values: .authorization], from: place)
        if grant.isAdmin { return try await next(request, context) }
        guard Self.isEvents(request) else {
            throw Problem.forbidden(
                gate.hasAdmin
                    ? "this needs a token of the administration; the one that came is for sending events"
                    : "the routing file names no `tokens: { admin: … }`, so this is served on the Unix socket only")
        }
        context.caller = .producer(grant)
        return try await next(request, context)
    }

    /// Whether it is `POST /v1/domains/DOMAIN/events`.
    private static func isEvents(_ request: Request) -> Bool {
        let parts = request.uri.path.split(separator: "/", omittingEmptySubsequences: true)
        return request.method == .post && parts.count == 4 && parts[0] == "v1" && parts[1] == "domains" && parts[3] == "events"
    }
}
