/// Whether bytes are a JSON text, as strictly as the doors read it.
public enum JSONValidity {
    /// Whether `bytes` are exactly one JSON value without line breaks: fit for a line of NDJSON.
    public static func isLine(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if bytes.contains(0x0A) || bytes.contains(0x0D) { return false }
        var scanner = JSONScanner(bytes)
        do throws(JSONFault) {
            _ = try scanner.value()
            try scanner.finish()
            return true
        } catch {
            return false
        }
    }
}
