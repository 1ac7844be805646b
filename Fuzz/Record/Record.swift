// Record: event records as they come from disk; with `e` first, the bodies of emits as they come from a worker; with `k`, messages of keepers.
//
// Always: every part of a checked record lies within it; what is read and written again is the same, field by field; what was
// written passes the check.

import CWorkerProtocol
import FuzzSupport
@testable import Supervisor
@testable import WorkerProtocol

/// What libFuzzer calls with each input.
@c(LLVMFuzzerTestOneInput)
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    var input = FuzzInput(UnsafeRawBufferPointer(start: start, count: size))
    let first = input.byte()
    withExactCopy(input.rest()) { bytes in
        switch first {
        case UInt8(ascii: "e"): checkEmit(bytes)
        case UInt8(ascii: "k"): if let report = try? KeeperReport(bytes) { touch(report.body) }
        default: checkRecords(bytes, count: Int(first))
        }
    }
    return 0
}

private func checkRecords(_ bytes: UnsafeRawBufferPointer, count: Int) {
    guard let records = RecordBuffer(checking: bytes, count: count) else { return }
    always(records.count == count && records.size == bytes.count, "a buffer of other records than were checked")
    let again = RecordBuffer()
    for index in 0..<records.count {
        let view = records.view(index)
        for part in [view.subject, view.type, view.id, view.headersSection, view.inputsSection, view.payloadSection] { touch(part) }
        let headers = checkPairs(view.headersSection, count: Int(view.header.pointee.header_count)) { view.forEachHeader($0) }
        let inputs = checkPairs(view.inputsSection, count: Int(view.header.pointee.input_count)) { view.forEachInput($0) }
        let header = view.header.pointee
        again.append(
            domain: header.domain, subjectHash: header.subject_hash, subject: view.subject, type: view.type, id: view.id, headers: headers,
            inputs: inputs, payload: view.payloadSection, externalSize: view.isExternal ? header.payload_size : nil,
            sequence: header.sequence, timeMicros: header.time_micros, acceptedMicros: header.accepted_micros, hops: header.hops,
            flags: header.flags & ~UInt8(CAPELET_RECORD_EXTERNAL))
        again.append(copying: view, inputs: inputs)
        let copied = RecordView(again.append(copying: view.header))
        for other in [again.view(again.count - 3), again.view(again.count - 2), copied] { same(view, other) }
    }
    always(RecordBuffer(checking: again.bytes, count: 3 * count) != nil, "what was written does not pass the check")
}

/// The pairs of a section, written again.
private func checkPairs(
    _ section: UnsafeRawBufferPointer, count: Int, _ forEach: ((UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) -> Void
) -> EncodedPairs {
    var pairs = EncodedPairs()
    forEach { name, value in
        touch(name)
        touch(value)
        pairs.append(name: name, value: value)
        always(RecordView.find(name, in: section) != nil, "a pair is not found")
    }
    always(pairs.count == count, "\(pairs.count) pairs where there are \(count)")
    always(pairs.bytes.elementsEqual(section), "pairs that are other bytes when written again")
    return pairs
}

private func same(_ one: RecordView, _ other: RecordView) {
    let (a, b) = (one.header.pointee, other.header.pointee)
    always(
        a.flags == b.flags && a.hops == b.hops && a.sequence == b.sequence && a.time_micros == b.time_micros
            && a.accepted_micros == b.accepted_micros && a.subject_hash == b.subject_hash && a.domain == b.domain
            && a.header_count == b.header_count && a.input_count == b.input_count && a.payload_size == b.payload_size,
        "another header after writing")
    for (part, again) in [
        (one.subject, other.subject), (one.type, other.type), (one.id, other.id), (one.headersSection, other.headersSection),
        (one.inputsSection, other.inputsSection), (one.payloadSection, other.payloadSection),
    ] { always(part.elementsEqual(again), "another section after writing") }
}

private func checkEmit(_ bytes: UnsafeRawBufferPointer) {
    guard let emit = try? WorkerEmit(checking: bytes) else { return }
    for part in [emit.domain, emit.subject, emit.type, emit.id, emit.headers, emit.payload] { touch(part) }
    for text in [emit.domain, emit.subject, emit.type, emit.id] {
        always(String(validating: text, as: UTF8.self) != nil, "text that is not UTF-8")
    }
    // As the host makes an event of it.
    let records = RecordBuffer()
    records.append(
        domain: 1, subjectHash: 2, subject: emit.subject, type: emit.type, id: emit.id,
        headers: EncodedPairs(copying: emit.headers, count: emit.headerCount), payload: emit.payload, timeMicros: 3, acceptedMicros: 4)
    always(RecordBuffer(checking: records.bytes, count: 1) != nil, "an emit that makes a broken record")
    // As the worker wrote it.
    var sizes = capelet_frame_emit()
    sizes.domain_size = UInt16(emit.domain.count)
    sizes.subject_size = UInt16(emit.subject.count)
    sizes.type_size = UInt16(emit.type.count)
    sizes.id_size = UInt16(emit.id.count)
    sizes.header_count = UInt32(emit.headerCount)
    sizes.headers_size = UInt32(emit.headers.count)
    sizes.payload_size = UInt32(emit.payload.count)
    sizes.reserved = bytes.loadUnaligned(as: capelet_frame_emit.self).reserved
    var body = withUnsafeBytes(of: sizes) { Array($0) }
    for part in [emit.domain, emit.subject, emit.type, emit.id, emit.headers, emit.payload] { body.append(contentsOf: part) }
    always(body.elementsEqual(bytes), "an emit that is other bytes when written again")
}
