internal import CZlib

/// Unpacks gzip through zlib.
enum Gzip {
    /// Unpacked bytes, and whether there was more than the limit allowed.
    struct Unpacked {
        var bytes: [UInt8]
        var isCut: Bool
    }

    /// Whether the bytes begin as a gzip file does.
    static func isGzip(_ bytes: [UInt8]) -> Bool { bytes.count > 18 && bytes[0] == 0x1F && bytes[1] == 0x8B && bytes[2] == 8 }

    /// Unpacks all members of a gzip file, up to `sizeMax` bytes. Nil if nothing of it can be unpacked; what was unpacked before
    /// damage, or before the input was cut, is returned as cut.
    static func unpack(_ packed: [UInt8], sizeMax: Int) -> Unpacked? {
        var packed = packed
        return packed.withUnsafeMutableBufferPointer { input -> Unpacked? in
            var stream = z_stream()
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            // 16 on top of the window size: gzip only, with its header and checksum.
            guard inflateInit2_(&stream, 16 + 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
            defer { inflateEnd(&stream) }
            var bytes = [UInt8](repeating: 0, count: min(sizeMax, max(input.count * 4, 4096)))
            var count = 0
            while true {
                if count == bytes.count {
                    guard count < sizeMax else { return Unpacked(bytes: bytes, isCut: true) }
                    bytes.append(contentsOf: repeatElement(0, count: min(count, sizeMax - count)))
                }
                let code = bytes.withUnsafeMutableBufferPointer { output in
                    stream.next_out = output.baseAddress! + count
                    stream.avail_out = UInt32(output.count - count)
                    let code = inflate(&stream, Z_NO_FLUSH)
                    count = output.count - Int(stream.avail_out)
                    return code
                }
                switch code {
                case Z_OK: continue
                case Z_STREAM_END where stream.avail_in > 0 && inflateReset(&stream) == Z_OK: continue
                case Z_STREAM_END:
                    bytes.removeLast(bytes.count - count)
                    return Unpacked(bytes: bytes, isCut: false)
                default:
                    // Damaged, or the input ends too early (Z_BUF_ERROR), or padding behind the last member.
                    guard count > 0 else { return nil }
                    bytes.removeLast(bytes.count - count)
                    return Unpacked(bytes: bytes, isCut: true)
                }
            }
        }
    }
}
