/// Reads routing files.
public enum RoutingFile {
    /// The table of the file at `path` (relative: to the current directory). Relative paths in it are relative to its folder.
    ///
    /// - Throws: a `RoutingError` with all that is wrong with it, also when it cannot be read. Any thread; reads the file, looks at the
    ///   folders and secret files that it names.
    public static func load(path: String) throws(RoutingError) -> RouteTable {
        let bytes: [UInt8]
        do throws(FileReadFault) {
            bytes = try FileBytes.read(path, max: RoutingLimits.fileBytesMax)
        } catch {
            throw RoutingError(problems: [RoutingProblem(file: path, message: "cannot read it: \(error.reason)")])
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let at = firstInvalid(bytes)
            let message = "not UTF-8: the byte 0x\(String(bytes[at.index], radix: 16)) begins no character"
            throw RoutingError(problems: [
                RoutingProblem(file: path, line: at.line, column: at.column, message: message, hint: "save the file as UTF-8")
            ])
        }
        return try parse(text: text, path: path, baseDirectory: FilePath.folder(of: path))
    }

    /// The table of a file's text.
    ///
    /// - Parameters:
    ///   - path: how messages name the file; it is not read.
    ///   - baseDirectory: what relative paths in the text are relative to.
    /// - Throws: a `RoutingError` with all that is wrong. Any thread; looks at the folders and secret files that the text names.
    public static func parse(text: String, path: String, baseDirectory: String) throws(RoutingError) -> RouteTable {
        let log = ProblemLog(file: path)
        if text.utf8.count > RoutingLimits.fileBytesMax {
            log.add(nil, "the file is larger than \(Quantity.text(bytes: UInt64(RoutingLimits.fileBytesMax)))")
            throw log.error()
        }
        let reader = TableReader(log: log, base: FilePath.absolute(baseDirectory, base: FilePath.currentDirectory))
        if let root = YAMLDocument.read(text, log: log), let table = reader.table(root) { return table }
        throw log.error()
    }

    /// Where UTF-8 ends: line and column as an editor would show them, and the byte's index. There must be such a place.
    private static func firstInvalid(_ bytes: [UInt8]) -> (line: Int, column: Int, index: Int) {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var (line, column, index) = (1, 1, 0)
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            index += UTF8.width(scalar)
            if scalar == "\n" {
                (line, column) = (line + 1, 1)
            } else {
                column += 1
            }
        }
        return (line, column, min(index, bytes.count - 1))
    }
}
