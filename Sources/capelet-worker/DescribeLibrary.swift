import CLibC

/// `capelet-worker library FOLDER NAME FUNCTION...`: loads a library that is no plugin and looks for functions in it, without calling any. A
/// process that is thrown away, since load-time constructors run. With `-` for the folder the system's loader searches for the name.
///
/// Output, on success, and exit status 0:
///
///     library <path of the file that was loaded, without links>
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
        var prefix = Describe.enterSandbox(folder: isSystem ? nil : folder, output: output)
        if !isSystem { prefix.append("/") }
        let handle: UnsafeMutableRawPointer
        switch Plugin.openLibrary(prefix: prefix, library: name) {
        case .failed(let why): Describe.reportFailure(why, to: output)
        case .opened(let opened): handle = opened
        }
        let threads = Plugin.threadCount()
        guard let loaded = capelet_linux_library_path(handle), let path = realpath(loaded, nil) else {
            Describe.reportFailure(Text.of("the loader does not say from which file it comes"), to: output)
        }
        text.append("library ")
        text.append(cString: path)
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
