import CLibC

/// `capelet-worker library FOLDER NAME FUNCTION...`: loads a library that is no plugin and looks for functions in it, without calling any. A
/// process that is thrown away, since load-time constructors run. With `-` for the folder the system's loader searches for the name.
///
/// Output, on success, and exit status 0:
///
///     library <path of the file that was loaded, without links where that can be found out>
///     function <name>                       for each that is there
///     missing <name>\t<why, in the loader's words>
///     threads <how many this process has after loading>
///     end
///
/// On failure, and as to limits and sandbox: as `describe`.
enum DescribeLibrary {
    static func run(folder: UnsafePointer<CChar>, library: UnsafePointer<CChar>, functions: [UnsafeMutablePointer<CChar>]) -> Never {
        let output = Describe.begin()
        var (name, text): (Text, Text) = ([], [])
        name.append(cString: library)
        let isSystem = strcmp(folder, "-") == 0
        // Everybody may read /usr: a library of the system needs no folder of its own.
        var prefix = Describe.enterSandbox(folder: isSystem ? ("/usr" as StaticString).cString : folder, output: output)
        prefix.append("/")
        if isSystem { prefix = [] }
        let handle: UnsafeMutableRawPointer
        switch Plugin.openLibrary(prefix: prefix, library: name) {
        case .failed(let why): Describe.reportFailure(why, to: output)
        case .opened(let opened): handle = opened
        }
        let threads = Plugin.threadCount()
        guard let loaded = capelet_linux_library_path(handle), loaded.pointee == CChar(bitPattern: UInt8(ascii: "/")) else {
            Describe.reportFailure(Text.of("the loader does not say from which file it comes"), to: output)
        }
        text.append("library ")
        // In a sandbox a folder of the host's may be closed to it; then that the file came from there is all that there is to say.
        text.append(cString: realpath(loaded, nil).map { UnsafePointer($0) } ?? loaded)
        text.append("\n")
        for function in functions {
            var symbol: Text = []
            symbol.append(cString: function)
            switch FunctionSymbol.find(symbol, in: handle) {
            case .found:
                text.append("function ")
                text.append(contentsOf: symbol)
            case .missing(let why):
                text.append("missing ")
                text.append(contentsOf: symbol)
                text.append("\t")
                text.append(contentsOf: Describe.printable(why.removing(prefix)))
            }
            text.append("\n")
        }
        text.append("threads ")
        text.append(number: threads)
        text.append("\nend\n")
        writeAll(output, text)
        _exit(0)
    }
}
