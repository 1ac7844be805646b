/// Why an event is refused before the journal sees it.
struct EventFault: Error, Equatable {
    enum Code: Equatable {
        /// 400: a part is missing, malformed or over its limit.
        case malformed
        /// 413: the payload, or all of it, is too large.
        case tooLarge
    }

    var code: Code
    /// The part that is wrong: `subject`, `ce-time`, `data_base64`; nil when it is the text as a whole.
    var field: String?
    /// What is wrong and what to do.
    var message: String

    static func malformed(_ field: String?, _ message: String) -> EventFault {
        EventFault(code: .malformed, field: field, message: message)
    }
    static func tooLarge(_ field: String?, _ message: String) -> EventFault { EventFault(code: .tooLarge, field: field, message: message) }
    static func json(_ fault: JSONFault) -> EventFault {
        EventFault(code: .malformed, field: nil, message: "not valid JSON at byte \(fault.offset): \(fault.message)")
    }
}
