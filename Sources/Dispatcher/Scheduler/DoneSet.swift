/// Which positions of a stream a route is done with: everything below `watermark`, and single ones above it.
struct DoneSet {
    /// Everything below is done.
    private(set) var watermark: UInt64
    /// Bits from `base` on, 64 positions a word; `base` is a multiple of 64 and at most `watermark`.
    private var words: [UInt64] = []
    private var first = 0
    private var base: UInt64

    /// Done below `watermark` and in `ranges`.
    init(watermark: UInt64, ranges: [Range<UInt64>] = []) {
        self.watermark = watermark
        base = watermark & ~63
        ensure(watermark)
        if watermark > base { words[0] = (1 << (watermark - base)) - 1 }
        for range in ranges { insert(range) }
    }

    private mutating func ensure(_ position: UInt64) {
        let index = Int((position - base) >> 6) + first
        while words.count <= index { words.append(0) }
    }

    /// Whether a position is done.
    func contains(_ position: UInt64) -> Bool {
        if position < watermark { return true }
        let index = Int((position - base) >> 6) + first
        return index < words.count && words[index] & (1 << (position & 63)) != 0
    }

    /// Marks one position as done.
    @inline(__always) mutating func insert(_ position: UInt64) {
        if position < watermark { return }
        ensure(position)
        words[Int((position - base) >> 6) + first] |= 1 << (position & 63)
        if position == watermark { advance() }
    }

    /// Marks a range as done.
    mutating func insert(_ range: Range<UInt64>) {
        if range.lowerBound <= watermark, range.upperBound > base + UInt64(words.count - first) * 64 {
            // Past everything that is known: no need to go through it bit by bit.
            self = DoneSet(watermark: range.upperBound)
            return
        }
        var position = max(range.lowerBound, watermark)
        while position < range.upperBound {
            if position & 63 == 0 && position + 64 <= range.upperBound {
                ensure(position)
                words[Int((position - base) >> 6) + first] = .max
                position += 64
            } else {
                ensure(position)
                words[Int((position - base) >> 6) + first] |= 1 << (position & 63)
                position += 1
            }
        }
        advance()
    }

    private mutating func advance() {
        while true {
            ensure(watermark)
            let index = Int((watermark - base) >> 6) + first
            let rest = words[index] >> (watermark & 63)
            let run = (~rest).trailingZeroBitCount
            let left = 64 - Int(watermark & 63)
            if run < left {
                watermark += UInt64(run)
                break
            }
            watermark += UInt64(left)
            first += 1
            base += 64
        }
        if first > 1024 && first * 2 > words.count {
            words.removeFirst(first)
            first = 0
        }
    }

    /// What is done above the watermark: ascending, disjoint, not touching.
    func ranges() -> [Range<UInt64>] {
        var result: [Range<UInt64>] = []
        var start: UInt64?
        var position = base
        for index in first..<words.count {
            let word = words[index]
            if word == .max {
                if start == nil { start = position }
            } else if word == 0 {
                if let begin = start {
                    result.append(begin..<position)
                    start = nil
                }
            } else {
                for bit in 0..<UInt64(64) {
                    if word & (1 << bit) != 0 {
                        if start == nil { start = position + bit }
                    } else if let begin = start {
                        result.append(begin..<position + bit)
                        start = nil
                    }
                }
            }
            position += 64
        }
        if let begin = start { result.append(begin..<position) }
        return result.compactMap { range in
            range.upperBound <= watermark ? nil : max(range.lowerBound, watermark)..<range.upperBound
        }
    }
}
