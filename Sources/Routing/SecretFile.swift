/// Reads what `{file: PATH}` names.
enum SecretFile {
    /// The file's text without one newline at its end.
    static func read(_ path: String) throws(SecretFileError) -> String {
        let bytes: [UInt8]
        do throws(FileReadFault) {
            bytes = try FileBytes.read(path, max: RoutingLimits.secretBytesMax)
        } catch {
            throw SecretFileError(path: path, reason: error.reason)
        }
        guard var text = String(validating: bytes, as: UTF8.self) else { throw SecretFileError(path: path, reason: "it is not UTF-8") }
        if text.hasSuffix("\r\n") || text.hasSuffix("\n") { text.removeLast() }
        return text
    }
}
