import CCapelet
import CLibC

/// The `capelet_result` that handlers fill in. Reused: it is zeroed again only after somebody wrote to it.
enum WorkerResult {
    /// Where `message` begins, and its size.
    private static let messageOffset = 16, messageSize = 512

    static func make() -> UnsafeMutablePointer<capelet_result> {
        let result = UnsafeMutablePointer<capelet_result>.allocate(capacity: 1)
        clear(result)
        return result
    }

    static func clear(_ result: UnsafeMutablePointer<capelet_result>) {
        memset(result, 0, MemoryLayout<capelet_result>.size)
        result.pointee.struct_size = UInt32(MemoryLayout<capelet_result>.size)
    }

    /// The message, up to its terminator.
    @inline(__always)
    static func messageBytes(_ result: UnsafePointer<capelet_result>) -> UnsafeRawBufferPointer {
        let start = UnsafeRawPointer(result) + messageOffset
        return UnsafeRawBufferPointer(start: start, count: strnlen(start.assumingMemoryBound(to: CChar.self), messageSize))
    }

    static func message(_ result: UnsafePointer<capelet_result>) -> Text {
        var text: Text = []
        text.append(messageBytes(result))
        return text
    }

    static func setMessage(_ result: UnsafeMutablePointer<capelet_result>, _ text: Text) {
        let start = UnsafeMutableRawPointer(result) + messageOffset
        memset(start, 0, messageSize)
        text.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { memcpy(start, base, min(bytes.count, messageSize - 1)) }
        }
    }

    /// Copies a result that a plugin made, which may be shorter than ours. nil: its size is impossible.
    static func copy(_ result: UnsafePointer<capelet_result>) -> UnsafeMutablePointer<capelet_result>? {
        let size = Int(result.pointee.struct_size)
        guard size >= messageOffset, size <= 64 << 10 else { return nil }
        let copy = make()
        memcpy(UnsafeMutableRawPointer(copy), result, min(size, MemoryLayout<capelet_result>.size))
        return copy
    }
}
