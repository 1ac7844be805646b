import HTTPTypes
import Hummingbird
import NIOCore

/// Reads whole request bodies, bounded in size and time.
enum BodyReader {
    /// How long a body may take that is not a stream.
    static let timeMax = TimeAmount.seconds(60)

    /// The body; throws 413 as soon as it is known to be larger than `bytesMax`.
    static func collect(_ request: Request, upTo bytesMax: Int, of what: String, _ context: FrontendContext) async throws -> ByteBuffer {
        func tooLarge() -> Problem {
            Problem(.contentTooLarge, "too-large", "Too large", "\(what) takes at most \(bytesMax) bytes in one request")
        }
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > bytesMax { throw tooLarge() }
        let channel = context.channel
        let timer = channel.eventLoop.scheduleTask(in: timeMax) { channel.close(promise: nil) }
        defer { timer.cancel() }
        var whole = ByteBuffer()
        for try await var piece in request.body {
            if whole.readableBytes + piece.readableBytes > bytesMax { throw tooLarge() }
            if whole.readableBytes == 0 { whole = piece } else { whole.writeBuffer(&piece) }
        }
        context.body.complete()
        return whole
    }
}
