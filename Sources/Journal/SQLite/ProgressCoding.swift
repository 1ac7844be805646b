/// Ranges above a watermark as bytes: for each, the gap since the end of the one before (or the watermark) and its length, as varints.
enum ProgressCoding {
    static func encode(_ ranges: [Range<UInt64>], above watermark: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var at = watermark
        for range in ranges where !range.isEmpty && range.lowerBound >= at {
            put(range.lowerBound - at, &bytes)
            put(UInt64(range.count), &bytes)
            at = range.upperBound
        }
        return bytes
    }

    /// nil when the bytes are damaged.
    static func decode(_ bytes: UnsafeRawBufferPointer, above watermark: UInt64) -> [Range<UInt64>]? {
        var ranges: [Range<UInt64>] = []
        var at = watermark
        var place = 0
        while place < bytes.count {
            guard let gap = take(bytes, &place), let count = take(bytes, &place), count > 0 else { return nil }
            let (lower, overflows) = at.addingReportingOverflow(gap)
            let (upper, overflowsToo) = lower.addingReportingOverflow(count)
            guard !overflows, !overflowsToo else { return nil }
            ranges.append(lower..<upper)
            at = upper
        }
        return ranges
    }

    private static func put(_ value: UInt64, _ bytes: inout [UInt8]) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    private static func take(_ bytes: UnsafeRawBufferPointer, _ place: inout Int) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while place < bytes.count, shift < 64 {
            let byte = bytes[place]
            place += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        return nil
    }
}
