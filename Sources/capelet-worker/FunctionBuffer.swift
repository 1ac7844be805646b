import CLibC

/// The output buffer of a plain C function. It ends at a page that cannot be touched, so that a function that writes beyond it dies at once
/// instead of damaging this process; the few bytes that alignment leaves before that page are looked at after every call.
struct FunctionBuffer {
    let start: UnsafeMutableRawPointer
    let capacity: Int
    /// Between its end and the page.
    private let slack: Int

    private static let alignment = 16
    private static let mark: UInt8 = 0xa5

    /// nil: memory is short.
    init?(capacity: Int) {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let rounded = (capacity + Self.alignment - 1) & ~(Self.alignment - 1)
        let pages = (rounded + page - 1) / page
        // A page that cannot be touched before it too.
        guard let memory = mmap(nil, (pages + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            memory != UnsafeMutableRawPointer(bitPattern: -1), mprotect(memory + page, pages * page, PROT_READ | PROT_WRITE) == 0
        else { return nil }
        start = memory + page + pages * page - rounded
        self.capacity = capacity
        slack = rounded - capacity
    }

    /// Before a call: what an earlier one has left is nobody's to see.
    func clear() {
        memset(start, 0, capacity)
        memset(start + capacity, Int32(Self.mark), slack)
    }

    /// Whether nothing was written between its end and the page.
    var isWhole: Bool {
        for i in 0..<slack where start.load(fromByteOffset: capacity + i, as: UInt8.self) != Self.mark { return false }
        return true
    }
}
