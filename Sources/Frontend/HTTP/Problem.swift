import HTTPTypes
import Hummingbird
import Journal
import NIOCore

/// An error as clients see it (RFC 9457). Thrown by handlers; `ProblemMiddleware` makes the response.
struct Problem: Error, Equatable {
    /// The status.
    var status: HTTPResponse.Status
    /// Last part of the type's URN: `urn:capelet:problem:NAME`. Stable; scripts may look at it.
    var name: String
    /// What kind of error it is, the same for every occurrence.
    var title: String
    /// What was wrong this time and what to do.
    var detail: String
    /// The part of the event that is wrong.
    var field: String?
    /// The line (from 1), or the element of a batch (from 1), that is wrong.
    var line: Int?
    /// Seconds until another attempt makes sense.
    var retryAfterSeconds: Int?
    /// Methods that are allowed, for 405.
    var allow: String?
    /// What `WWW-Authenticate` says, for 401 and 403.
    var authenticate: String?

    init(
        _ status: HTTPResponse.Status, _ name: String, _ title: String, _ detail: String, field: String? = nil, line: Int? = nil,
        retryAfterSeconds: Int? = nil
    ) {
        self.status = status
        self.name = name
        self.title = title
        self.detail = detail
        self.field = field
        self.line = line
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// An event that was refused before the journal saw it.
    init(_ fault: EventFault, line: Int? = nil) {
        switch fault.code {
        case .malformed: self.init(.badRequest, "malformed-event", "Malformed event", fault.message, field: fault.field, line: line)
        case .tooLarge: self.init(.contentTooLarge, "too-large", "Too large", fault.message, field: fault.field, line: line)
        }
    }

    /// A query or body that was refused.
    static func invalid(_ detail: String, field: String? = nil) -> Problem {
        Problem(.badRequest, "invalid-request", "Invalid request", detail, field: field)
    }

    static func notFound(_ detail: String) -> Problem { Problem(.notFound, "not-found", "Not found", detail) }

    static func unavailable(_ detail: String) -> Problem {
        Problem(.serviceUnavailable, "unavailable", "Not available", detail, retryAfterSeconds: 5)
    }

    /// What the journal refused.
    init(_ error: JournalError) {
        switch error.code {
        case .backlog: self.init(.tooManyRequests, "backlog-full", "Backlog full", error.message, retryAfterSeconds: 5)
        case .outOfOrder: self.init(.conflict, "out-of-order", "Out of order", error.message, field: "sequence")
        case .unknown: self.init(.notFound, "not-found", "Not found", error.message)
        case .closed: self.init(.serviceUnavailable, "unavailable", "Shutting down", error.message, retryAfterSeconds: 5)
        case .full: self.init(.serviceUnavailable, "journal-fault", "Journal at fault", error.message, retryAfterSeconds: 30)
        case .inUse, .newerSchema, .damaged, .failed:
            self.init(.serviceUnavailable, "journal-fault", "Journal at fault", error.message, retryAfterSeconds: 10)
        }
    }

    /// What the host refused.
    init(_ error: ControlError) {
        switch error.code {
        case .unknown: self.init(.notFound, "not-found", "Not found", error.message)
        case .invalid: self.init(.badRequest, "invalid-request", "Invalid request", error.message)
        case .conflict: self.init(.conflict, "conflict", "Conflict", error.message)
        case .unavailable: self.init(.serviceUnavailable, "unavailable", "Not available", error.message, retryAfterSeconds: 5)
        }
    }

    /// The JSON object.
    func write(to json: inout JSONText) {
        json.raw("{\"type\":")
        json.string("urn:capelet:problem:" + name)
        json.raw(",\"title\":")
        json.string(title)
        json.raw(",\"status\":")
        json.number(status.code)
        json.raw(",\"detail\":")
        json.string(detail)
        if let field {
            json.raw(",\"field\":")
            json.string(field)
        }
        if let line {
            json.raw(",\"line\":")
            json.number(line)
        }
        json.raw("}")
    }

    /// The response.
    func response() -> Response {
        var json = JSONText()
        write(to: &json)
        var headers: HTTPFields = [.contentType: "application/problem+json"]
        if let retryAfterSeconds { headers[.retryAfter] = String(retryAfterSeconds) }
        if let allow { headers[.allow] = allow }
        if let authenticate { headers[.wwwAuthenticate] = authenticate }
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: json.bytes)))
    }
}
