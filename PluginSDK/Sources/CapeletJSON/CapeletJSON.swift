// CapeletJSON: Codable values as payloads, inputs, outputs, emitted events and configuration.
//
// A module of its own, because it links FoundationEssentials: a plugin that imports only CapeletSDK links no Foundation. Payloads are
// decoded where they lie, without a copy. Functions may be called from any thread.

public import CapeletSDK

#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

extension Event {
    /// Decodes the payload as JSON. A payload that does not fit is a fatal error: it will not fit the next time either.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self, decoder: JSONDecoder = JSONDecoder()) throws(LambdaError) -> Value
    {
        try withPayload { bytes throws(LambdaError) in try CapeletJSON.decode(type, from: bytes, "payload", decoder) }
    }

    /// Decodes the output of the upstream lambda called `lambda` as JSON. One that is missing or does not fit is a fatal error.
    public func decodeInput<Value: Decodable>(
        _ type: Value.Type = Value.self, from lambda: String, decoder: JSONDecoder = JSONDecoder()
    ) throws(LambdaError) -> Value {
        let value = try withInput(from: lambda) { bytes throws(LambdaError) in
            try CapeletJSON.decode(type, from: bytes, "output of \(lambda)", decoder)
        }
        guard let value else { throw .fatal("there is no output of \(lambda): is this lambda `after: \(lambda)`?") }
        return value
    }

    /// Sets the event's output to `value` as JSON. A value that cannot be encoded is a fatal error.
    public func output(encoding value: some Encodable, encoder: JSONEncoder = JSONEncoder()) throws(LambdaError) {
        try output(CapeletJSON.encode(value, "output", encoder))
    }
}

extension Emission {
    /// An event with a value as JSON for payload. A value that cannot be encoded is a fatal error.
    public init(
        domain: String, subject: String, type: String, id: String? = nil, headers: [Header] = [],
        encoding value: some Encodable, encoder: JSONEncoder = JSONEncoder()
    ) throws(LambdaError) {
        let payload = try CapeletJSON.encode(value, "payload of an event for \(domain)", encoder)
        self.init(domain: domain, subject: subject, type: type, id: id, headers: headers, payload: payload)
    }
}

extension Context {
    /// Decodes the whole `config:`. One that does not fit is an error that names the place in it: let it out of `init(context:)`.
    public func decodeConfig<Value: Decodable>(
        _ type: Value.Type = Value.self, decoder: JSONDecoder = JSONDecoder()
    ) throws(ConfigurationError) -> Value {
        do {
            return try decoder.decode(type, from: Data(configJSON))
        } catch {
            let failure = JSONFailure(error)
            throw ConfigurationError(key: failure.path.isEmpty ? "(top)" : failure.path, value: nil, problem: failure.problem)
        }
    }
}

private func decode<Value: Decodable>(
    _ type: Value.Type, from bytes: UnsafeRawBufferPointer, _ what: String, _ decoder: JSONDecoder
) throws(LambdaError) -> Value {
    let json: Data
    if let start = bytes.baseAddress {
        // Valid as long as `bytes`, and read only before this function returns.
        json = Data(bytesNoCopy: UnsafeMutableRawPointer(mutating: start), count: bytes.count, deallocator: .none)
    } else {
        json = Data()
    }
    do {
        return try decoder.decode(type, from: json)
    } catch {
        let failure = JSONFailure(error)
        throw .fatal("\(what)\(failure.path.isEmpty ? "" : ", \(failure.path)"): \(failure.problem)")
    }
}

private func encode(_ value: some Encodable, _ what: String, _ encoder: JSONEncoder) throws(LambdaError) -> [UInt8] {
    do {
        return [UInt8](try encoder.encode(value))
    } catch {
        throw .fatal("\(what): cannot be written as JSON", cause: error)
    }
}

/// What a JSON decoder has to complain about, in one line.
private struct JSONFailure {
    let path: String
    let problem: String

    init(_ error: any Error) {
        switch error as? DecodingError {
        case .keyNotFound(let key, let context):
            (path, problem) = (Self.path(context.codingPath + [key]), "is missing")
        case .valueNotFound(_, let context):
            (path, problem) = (Self.path(context.codingPath), "is null or missing")
        case .typeMismatch(let type, let context):
            (path, problem) = (Self.path(context.codingPath), "is not of type \(type)")
        case .dataCorrupted(let context):
            let cause = context.underlyingError.map { " (\($0))" } ?? ""
            (path, problem) = (Self.path(context.codingPath), context.debugDescription + cause)
        default:
            (path, problem) = ("", String(describing: error))
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
    }
}
