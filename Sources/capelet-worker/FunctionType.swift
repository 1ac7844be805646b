import CFFI

/// The type of a parameter or result, as routing files name it (Docs/LAMBDAS.md).
enum FunctionType: Int32 {
    case void, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, bool, size, string, bytes, buffer, pointer
    case i32Pointer, i64Pointer, u32Pointer, u64Pointer, sizePointer

    init?(_ word: UnsafeRawBufferPointer) {
        var raw: Int32 = 0
        while let type = FunctionType(rawValue: raw) {
            if word.equals(type.name) {
                self = type
                return
            }
            raw += 1
        }
        return nil
    }

    var name: StaticString {
        switch self {
        case .void: "void"
        case .i8: "i8"
        case .i16: "i16"
        case .i32: "i32"
        case .i64: "i64"
        case .u8: "u8"
        case .u16: "u16"
        case .u32: "u32"
        case .u64: "u64"
        case .f32: "f32"
        case .f64: "f64"
        case .bool: "bool"
        case .size: "size"
        case .string: "string"
        case .bytes: "bytes"
        case .buffer: "buffer"
        case .pointer: "pointer"
        case .i32Pointer: "i32*"
        case .i64Pointer: "i64*"
        case .u32Pointer: "u32*"
        case .u64Pointer: "u64*"
        case .sizePointer: "size*"
        }
    }

    /// How it is passed.
    var code: Int32 {
        let code =
            switch self {
            case .void: CAPELET_TYPE_VOID
            case .i8: CAPELET_TYPE_I8
            case .i16: CAPELET_TYPE_I16
            case .i32: CAPELET_TYPE_I32
            case .i64: CAPELET_TYPE_I64
            case .u8: CAPELET_TYPE_U8
            case .u16: CAPELET_TYPE_U16
            case .u32: CAPELET_TYPE_U32
            case .u64: CAPELET_TYPE_U64
            case .size: MemoryLayout<Int>.size == 8 ? CAPELET_TYPE_U64 : CAPELET_TYPE_U32
            case .f32: CAPELET_TYPE_F32
            case .f64: CAPELET_TYPE_F64
            case .bool: CAPELET_TYPE_BOOL
            default: CAPELET_TYPE_POINTER
            }
        return Int32(code)
    }

    /// Bytes of a whole number; 0: it is none.
    var integerSize: Int {
        switch self {
        case .i8, .u8: 1
        case .i16, .u16: 2
        case .i32, .u32: 4
        case .i64, .u64: 8
        case .size: MemoryLayout<Int>.size
        default: 0
        }
    }

    /// Bytes of what a pointer to a written length points to; 0: it is none.
    var lengthSize: Int {
        switch self {
        case .i32Pointer, .u32Pointer: 4
        case .i64Pointer, .u64Pointer: 8
        case .sizePointer: MemoryLayout<Int>.size
        default: 0
        }
    }

    var isInteger: Bool { integerSize > 0 }
    var isFloat: Bool { self == .f32 || self == .f64 }

    /// Whether a whole number, or what a pointer points to, can be negative.
    var isSigned: Bool {
        switch self {
        case .i8, .i16, .i32, .i64, .i32Pointer, .i64Pointer: true
        default: false
        }
    }

    var canBeResult: Bool { self != .bytes && self != .buffer && lengthSize == 0 }
    var canBeParameter: Bool { self != .void && self != .pointer }
}
