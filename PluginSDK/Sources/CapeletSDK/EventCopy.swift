internal import CCapelet

/// A copy of a C event and of everything that it points to, in one block of memory: the event, its headers, its inputs, then all bytes.
///
/// Invariant: nothing changes the block after `init`, and one `Event` owns it; hence Sendable.
struct EventCopy: @unchecked Sendable {
    /// Lies within `storage`.
    let event: UnsafePointer<capelet_event>
    /// Freed by the `Event` that owns it.
    let storage: UnsafeMutableRawPointer

    init(of original: UnsafePointer<capelet_event>) {
        let headers = UnsafeBufferPointer(
            start: original.pointee.headers, count: original.pointee.headers == nil ? 0 : Int(original.pointee.header_count))
        let inputs = UnsafeBufferPointer(
            start: original.pointee.inputs, count: original.pointee.inputs == nil ? 0 : Int(original.pointee.input_count))

        var size = MemoryLayout<capelet_event>.stride
        let headersOffset = size
        size += headers.count * MemoryLayout<capelet_header>.stride
        let inputsOffset = size
        size += inputs.count * MemoryLayout<capelet_input>.stride
        var writer = BytesWriter(at: size)
        size += original.pointee.domain.size + original.pointee.subject.size + original.pointee.type.size
        size += original.pointee.id.size + original.pointee.payload.size
        for header in headers { size += header.name.size + header.value.size }
        for input in inputs { size += input.lambda.size + input.output.size }

        storage = .allocate(byteCount: size, alignment: MemoryLayout<capelet_event>.alignment)
        writer.base = storage

        var copy = original.pointee
        copy.struct_size = UInt32(MemoryLayout<capelet_event>.size)
        copy.domain = writer.write(copy.domain)
        copy.subject = writer.write(copy.subject)
        copy.type = writer.write(copy.type)
        copy.id = writer.write(copy.id)
        copy.payload = writer.write(copy.payload)

        let newHeaders = (storage + headersOffset).bindMemory(to: capelet_header.self, capacity: headers.count)
        for (index, header) in headers.enumerated() {
            let value = capelet_header(name: writer.write(header.name), value: writer.write(header.value))
            (newHeaders + index).initialize(to: value)
        }
        let newInputs = (storage + inputsOffset).bindMemory(to: capelet_input.self, capacity: inputs.count)
        for (index, input) in inputs.enumerated() {
            let value = capelet_input(lambda: writer.write(input.lambda), output: writer.write(input.output))
            (newInputs + index).initialize(to: value)
        }
        copy.headers = UnsafePointer(newHeaders)
        copy.inputs = UnsafePointer(newInputs)
        copy.header_count = UInt32(headers.count)
        copy.input_count = UInt32(inputs.count)

        let pointer = storage.bindMemory(to: capelet_event.self, capacity: 1)
        pointer.initialize(to: copy)
        event = UnsafePointer(pointer)
    }
}

/// Puts byte strings one after another into a block.
private struct BytesWriter {
    var base: UnsafeMutableRawPointer?
    var at: Int

    init(at: Int) { self.at = at }

    mutating func write(_ bytes: capelet_bytes) -> capelet_bytes {
        guard let base, let data = bytes.data, bytes.size > 0 else { return capelet_bytes(data: nil, size: 0) }
        let target = base + at
        target.copyMemory(from: data, byteCount: bytes.size)
        at += bytes.size
        return capelet_bytes(data: UnsafeRawPointer(target), size: bytes.size)
    }
}
