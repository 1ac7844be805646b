internal import CapeletSDK

/// The lambda `extract`: reads the file that an event of a directory source is about.
///
/// Takes from the event: payload (the path's bytes, relative to the root), header `root`, type `created`, `modified` or `deleted`. Puts
/// out an `Extraction`.
struct Extract: Lambda {
    /// `sizeMax` is also the most that is unpacked of a file.
    private let limits: FileContents.Limits
    private let unpacksGzip: Bool
    /// The most an output may have (capelet.h).
    private let outputSizeMax = 1 << 20

    init(context: Context) throws {
        limits = FileContents.Limits(
            sizeMax: try context.config.byteCount("max-size", default: 4 << 20, in: 1...(64 << 20)),
            hashSizeMax: try context.config.byteCount("hash-max-size", default: 64 << 20))
        unpacksGzip = try context.config.bool("gzip", default: true)
    }

    func handle(_ event: borrowing Event) throws -> Outcome {
        if event.isType("deleted") {
            try event.output(Extraction(kind: .deleted).encoded)
            return .success
        }
        guard event.isType("created") || event.isType("modified") else {
            return .fatal("type \(event.type): extract knows created, modified and deleted")
        }
        guard let root = event.headerBytes("root") else {
            return .fatal("header root is missing: extract takes the events of a directory source")
        }
        let path = event.payload
        guard let file = try FileContents.load(root: root, path: path, limits: limits, isCancelled: { event.isCancelled }) else {
            try event.output(Extraction(kind: .gone).encoded)
            return .success
        }
        try event.output(extraction(of: file).encoded)
        return .success
    }

    /// What a file's bytes are.
    func extraction(of file: FileContents) -> Extraction {
        var extraction = Extraction(kind: .binary, size: file.size, mtime: file.mtime, hash: file.hash)
        var bytes = file.bytes
        var suffix = ""
        extraction.isCut = file.isCut
        if unpacksGzip, Gzip.isGzip(bytes) {
            guard let unpacked = Gzip.unpack(bytes, sizeMax: limits.sizeMax) else { return extraction }
            bytes = unpacked.bytes
            extraction.isCut = file.isCut || unpacked.isCut
            suffix = "+gzip"
        }
        guard !TextDecoding.isBinary(bytes) else { return extraction }
        let decoded = TextDecoding.decode(bytes, isCut: extraction.isCut)
        extraction.kind = .text
        extraction.encoding = decoded.encoding + suffix
        extraction.text = TextDecoding.prefix(decoded.text, sizeMax: outputSizeMax - Extraction.headerSizeMax)
        if extraction.text.utf8.count < decoded.text.utf8.count { extraction.isCut = true }
        return extraction
    }
}
