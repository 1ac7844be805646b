/// What a parameter or the result of a plain C function can be. A closed list: a signature carries no types at run time, so what is not
/// here cannot be called (ISOLATION §6).
public enum FunctionType: String, Sendable, Hashable, CaseIterable {
    /// No result.
    case void
    /// Whole numbers of fixed size.
    case i8, i16, i32, i64, u8, u16, u32, u64
    /// `float` and `double`.
    case f32, f64
    /// `bool` of C99.
    case bool
    /// `size_t`.
    case size
    /// `const char *`, ended by a zero byte.
    case string
    /// `const void *` to bytes that the function reads; how many is an argument of its own.
    case bytes
    /// `void *` to bytes that the function writes: a parameter that gets `$output(SIZE)`.
    case buffer
    /// A result that is a pointer: only whether it is NULL is looked at.
    case pointer
    /// Pointers to a whole number by which the function says how much it wrote: parameters that get `$output.length`.
    case i32Pointer = "i32*"
    case i64Pointer = "i64*"
    case u32Pointer = "u32*"
    case u64Pointer = "u64*"
    case sizePointer = "size*"

    /// Whether a function can return it.
    public var canBeResult: Bool {
        switch self {
        case .bytes, .buffer: false
        default: !isLengthPointer
        }
    }

    /// Whether a function can take it.
    public var canBeParameter: Bool { self != .void && self != .pointer }

    /// Whether it is a whole number.
    public var isInteger: Bool { range != nil }

    /// Whether it is `f32` or `f64`.
    public var isFloat: Bool { self == .f32 || self == .f64 }

    /// Whether it is a pointer to a written length.
    public var isLengthPointer: Bool {
        switch self {
        case .i32Pointer, .i64Pointer, .u32Pointer, .u64Pointer, .sizePointer: true
        default: false
        }
    }

    /// Whether NULL can be passed for it.
    public var isPointer: Bool { self == .string || self == .bytes || self == .buffer || self == .pointer || isLengthPointer }

    /// The values of a whole number; nil: it is none.
    public var range: ClosedRange<Int128>? {
        switch self {
        case .i8: Int128(Int8.min)...Int128(Int8.max)
        case .i16: Int128(Int16.min)...Int128(Int16.max)
        case .i32: Int128(Int32.min)...Int128(Int32.max)
        case .i64: Int128(Int64.min)...Int128(Int64.max)
        case .u8: 0...Int128(UInt8.max)
        case .u16: 0...Int128(UInt16.max)
        case .u32: 0...Int128(UInt32.max)
        case .u64, .size: 0...Int128(UInt64.max)
        default: nil
        }
    }
}
