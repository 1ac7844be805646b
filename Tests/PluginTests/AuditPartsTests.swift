import Foundation
import Testing

/// SHA-256 and the set of offsets, by themselves.
@Suite struct AuditPartsTests {
    private typealias HexFunction = @convention(c) (UnsafeRawPointer?, Int, UnsafeMutablePointer<UInt8>) -> Void
    private typealias CompressFunction = @convention(c) (UnsafeMutablePointer<UInt32>, UnsafePointer<UInt8>, Int) -> Void
    private typealias ContainsFunction = @convention(c) (UnsafeRawPointer, UInt64) -> Bool
    private typealias InsertFunction = @convention(c) (UnsafeMutableRawPointer, UInt64) -> Int32
    private typealias ClearFunction = @convention(c) (UnsafeMutableRawPointer) -> Void
    private typealias BytesFunction = @convention(c) (UnsafeRawPointer) -> Int

    private func function<F>(_ name: String, as type: F.Type) throws -> F {
        let library = try #require(dlopen(try PluginBuild.path("audit-parts.so"), RTLD_NOW | RTLD_LOCAL))
        return unsafeBitCast(try #require(dlsym(library, name)), to: type)
    }

    private func sha256(_ bytes: [UInt8]) throws -> String {
        var hex = [UInt8](repeating: 0, count: 64)
        try function("sha256_hex", as: HexFunction.self)(bytes, bytes.count, &hex)
        return String(decoding: hex, as: UTF8.self)
    }

    /// FIPS 180-4's examples.
    @Test func knownHashes() throws {
        #expect(try sha256([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(try sha256(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            try sha256(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        #expect(
            try sha256([UInt8](repeating: 97, count: 1_000_000)) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    /// Every length around the block's, against coreutils.
    @Test func everyLength() throws {
        let folder = try ScratchFolder()
        var random = Pseudorandom(seed: 3)
        let samples = (0..<200).map { size in (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) } }
        for (size, sample) in samples.enumerated() {
            try Data(sample).write(to: folder.url(String(format: "%03d", size)))
        }
        let sums = try Command.run("/bin/sh", ["-c", "sha256sum \(folder.path)/*"]).lines.map { String($0.prefix(64)) }
        #expect(try samples.map(sha256) == sums)
    }

    @Test func bothInnerLoopsAgree() throws {
        let used = try function("sha256_compress", as: CompressFunction.self)
        let portable = try function("sha256_compress_portable", as: CompressFunction.self)
        var random = Pseudorandom(seed: 5)
        for blocks in 0..<20 {
            let input = (0..<(blocks * 64)).map { _ in UInt8.random(in: 0...255, using: &random) } + [0]
            var one = (0..<8).map { _ in UInt32.random(in: 0...UInt32.max, using: &random) }
            var other = one
            used(&one, input, blocks)
            portable(&other, input, blocks)
            #expect(one == other)
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6]) func offsetsAreExact(seed: UInt64) throws {
        let contains = try function("offset_set_contains", as: ContainsFunction.self)
        let insert = try function("offset_set_insert", as: InsertFunction.self)
        let clear = try function("offset_set_clear", as: ClearFunction.self)
        let set = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 16)
        memset(set, 0, 64)
        defer {
            clear(set)
            set.deallocate()
        }
        var random = Pseudorandom(seed: seed)
        var model: Set<UInt64> = []
        let bases: [UInt64] = [0, 65_536 * 3 - 2_000, UInt64.max - 70_000, 1 << 40]
        for round in 0..<30_000 {
            let base = bases[Int.random(in: 0..<bases.count, using: &random)]
            // Odd seeds: dense, so that chunks fill and ranges join. Even ones: sparse, so that lists become bitmaps.
            let span: UInt64 = seed % 2 == 1 ? 3_000 : 70_000
            let offset = base + UInt64.random(in: 0..<span, using: &random)
            #expect(insert(set, offset) == (model.insert(offset).inserted ? 1 : 0), "round \(round)")
            let probe = base + UInt64.random(in: 0..<span, using: &random)
            if contains(set, probe) != model.contains(probe) {
                Issue.record("seed \(seed), round \(round): \(probe)")
                return
            }
        }
    }

    @Test func offsetsAreSmall() throws {
        let contains = try function("offset_set_contains", as: ContainsFunction.self)
        let insert = try function("offset_set_insert", as: InsertFunction.self)
        let clear = try function("offset_set_clear", as: ClearFunction.self)
        let bytes = try function("offset_set_bytes", as: BytesFunction.self)
        let set = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 16)
        memset(set, 0, 64)
        defer { set.deallocate() }
        // Four million in a row; every second one first, so that each chunk goes through all its forms.
        for start in [UInt64(0), 1] {
            for offset in stride(from: start, to: 4 << 20, by: 2) where insert(set, offset) != 1 { Issue.record("\(offset)") }
            #expect(bytes(set) < (start == 0 ? 600_000 : 4_000))
        }
        #expect(contains(set, (4 << 20) - 1) && !contains(set, 4 << 20))
        clear(set)
        #expect(bytes(set) == 0 && !contains(set, 5))
    }
}

/// A small generator with a seed (SplitMix64), so that a failure can be run again.
struct Pseudorandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
