import CLinux
@testable import Journal
import Testing
import WorkerProtocol

@Suite("Parts of the journal") struct PartsTests {
    @Test("CRC32C gives the values of RFC 3720, with and without the instruction")
    func checksum() {
        let cases: [([UInt8], UInt32)] = [
            (Array("123456789".utf8), 0xe306_9283), ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
            ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43), (Array(0..<32), 0x46dd_794e), ([], 0),
        ]
        for (bytes, value) in cases {
            #expect(capelet_linux_crc32c(0, bytes, bytes.count) == value)
            #expect(capelet_linux_crc32c_portable(0, bytes, bytes.count) == value)
        }
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<1003).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        for cut in [0, 1, 7, 8, 500, 1003] {
            let whole = capelet_linux_crc32c(0, bytes, bytes.count)
            let parts = bytes.withUnsafeBytes {
                capelet_linux_crc32c(capelet_linux_crc32c(0, $0.baseAddress, cut), $0.baseAddress! + cut, 1003 - cut)
            }
            #expect(parts == whole)
            #expect(capelet_linux_crc32c_portable(0, bytes, bytes.count) == whole)
        }
    }

    @Test("Ids hash as the reference implementation of SipHash-2-4-128 does")
    func hash() {
        // vectors_sip128 of github.com/veorq/SipHash: key 00…0f, messages of 0 and 1 bytes.
        let hasher = IDHasher(SubjectHash(key0: 0x0706_0504_0302_0100, key1: 0x0f0e_0d0c_0b0a_0908))
        let empty = hasher.hash(UnsafeRawBufferPointer(start: nil, count: 0), tag: 0)
        #expect(empty == IDHash(high: 0x9302_55c7_1472_f66d, low: 0xe6a8_25ba_047f_81a3))
        let one = [0 as UInt8].withUnsafeBytes { hasher.hash($0, tag: 0) }
        #expect(one == IDHash(high: 0x45fc_229b_1159_7634, low: 0x44af_996b_d8c1_87da))
    }

    @Test("The id window does what a dictionary and a queue would")
    func window() {
        var generator = SystemRandomNumberGenerator()
        let window = IDWindow()
        var differences = 0
        var model: [(id: IDHash, offset: UInt64, at: Int64)] = []
        for round in 0..<10_000 {
            // Few different low halves make long runs in the table.
            let id = IDHash(high: UInt64.random(in: 0..<40, using: &generator) << 32, low: UInt64.random(in: 0..<512, using: &generator))
            if round % 97 == 0 {
                let known = model.first { $0.id == id }?.offset
                if window.offset(of: id) != known { differences += 1 }
            }
            let before = window.count
            let found = window.offset(of: id, orInsert: UInt64(round), atMillis: Int64(round))
            if found == nil {
                model.append((id, UInt64(round), Int64(round)))
                if window.count != before + 1 { differences += 1 }
            }
            if round % 1000 == 999 {
                window.removeOldest(countMax: 600, sinceMillis: Int64(round) - 5000)
                model = Array(model.filter { $0.at >= Int64(round) - 5000 }.suffix(600))
            }
            if round % 1777 == 0 {
                let count = max(0, window.count - 10)
                window.removeNewest(downTo: count)
                model = Array(model.prefix(count))
            }
            if window.count != model.count { differences += 1 }
        }
        #expect(differences == 0)
        for entry in model { #expect(window.offset(of: entry.id) == entry.offset) }
        #expect(window.oldestOffset == model.first?.offset)
    }

    @Test("Progress comes back as it was, and damage is seen")
    func progress() {
        let cases: [(UInt64, [Range<UInt64>])] = [
            (0, []), (0, [0..<1]), (5, [5..<6, 300..<70_000, 70_001..<1 << 50]), (1 << 43, [(1 << 43) + 1..<(1 << 43) + 2]),
        ]
        for (watermark, ranges) in cases {
            let bytes = ProgressCoding.encode(ranges, above: watermark)
            #expect(bytes.withUnsafeBytes { ProgressCoding.decode($0, above: watermark) } == ranges)
        }
        for damaged in [
            [1], [0x80], [1, 0], Array(repeating: 0xff, count: 30), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 9],
        ] as [[UInt8]] {
            #expect(damaged.withUnsafeBytes { ProgressCoding.decode($0, above: 7) } == nil)
        }
    }
}
