import CLibC

/// The function in a library.
enum FunctionSymbol {
    case found(UnsafeMutableRawPointer)
    /// Why not, in the loader's words.
    case missing(Text)

    static func find(_ name: Text, in library: UnsafeMutableRawPointer) -> FunctionSymbol {
        _ = dlerror()
        guard let address = name.withCString({ dlsym(library, $0) }) else {
            var text: Text = []
            text.append(cString: dlerror())
            if text.isEmpty {
                text = name
                text.append(": the loader finds it at no address")
            }
            return .missing(text)
        }
        if !capelet_linux_is_code(address) {
            var text = name
            text.append(": it is data, not a function")
            return .missing(text)
        }
        return .found(address)
    }
}
