import Logging
import HTTPTypes
import Hummingbird
import Journal
import NIOHTTP1

/// Turns everything that handlers throw into problem JSON, and ends connections whose request was not read to its end.
struct ProblemMiddleware: RouterMiddleware {
    let logger: Logger

    func handle(_ request: Request, context: FrontendContext, next: (Request, FrontendContext) async throws -> Response) async throws
        -> Response
    {
        let problem: Problem
        do {
            return try await next(request, context)
        } catch let error as Problem {
            problem = error
        } catch let error as JournalError {
            problem = Problem(error)
        } catch let error as ControlError {
            problem = Problem(error)
        } catch let error as HTTPParserError {
            throw error
        } catch let error as HTTPError {
            switch error.status {
            case .notFound: problem = .notFound("there is nothing at \(request.uri.path)")
            case .contentTooLarge: problem = Problem(.contentTooLarge, "too-large", "Too large", "the request's body is too large")
            default: problem = Problem(error.status, "http", error.status.reasonPhrase, error.body ?? error.status.reasonPhrase)
            }
        } catch is CancellationError {
            problem = .unavailable("the host is ending")
        } catch {
            logger.error("request failed", metadata: ["path": "\(request.uri.path)", "error": "\(error)"])
            problem = Problem(.internalServerError, "internal", "Internal error", "\(error)")
        }
        var response = problem.response()
        let hasBody = request.headers[.transferEncoding] != nil || (request.headers[.contentLength].map { $0 != "0" } ?? false)
        if hasBody, !context.body.isComplete {
            // The client may be in the middle of sending it.
            response.headers[.connection] = "close"
            LingeringClose.schedule(context.channel)
        }
        return response
    }
}
