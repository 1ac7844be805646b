import CCapelet
import CLibC
import CWorkerProtocol

/// `capelet_host.emit`.
func hostEmit(_: UnsafePointer<capelet_host>?, token: UInt64, emit: UnsafePointer<capelet_emit>?) -> Int32 {
    guard token != 0, let emit, let event = EmittedEvent(emit) else { return hostInvalid }
    return worker.locked { state in
        guard let run = state.openRun(token) else { return hostGone }
        let size = event.size
        guard run.pointee.emitCount < HostLimits.emitCount, size <= HostLimits.allBytes,
            run.pointee.emitBytes + run.pointee.outputBytes + size <= HostLimits.allBytes
        else {
            run.pointee.isOverLimit = true
            return hostLimit
        }
        run.pointee.emitCount += 1
        run.pointee.emitBytes += size
        event.write(to: &state.pointee.ring, token: token)
        return 0
    }
}

/// A `capelet_emit` whose fields have been checked.
private struct EmittedEvent {
    private var domain, subject, type, id, payload: capelet_bytes
    private var headers: UnsafePointer<capelet_header>?
    private var headerCount = 0
    private var headersSize = 0

    /// Where the fields end that every version has, and `headers`.
    private static let payloadEnd = 88, headersEnd = 96

    /// nil: something is wrong with it, see CAPELET_EINVAL.
    init?(_ emit: UnsafePointer<capelet_emit>) {
        let size = Int(emit.pointee.struct_size)
        guard size >= Self.payloadEnd, size <= 64 << 10 else { return nil }
        domain = emit.pointee.domain
        subject = emit.pointee.subject
        type = emit.pointee.type
        id = emit.pointee.id
        payload = emit.pointee.payload
        guard domain.size > 0, subject.size > 0, domain.isShortText, subject.isShortText, type.isShortText, id.isShortText,
            payload.isReadable, payload.size <= Int(UInt32.max)
        else { return nil }
        guard size >= Self.headersEnd, emit.pointee.header_count > 0 else { return }
        headerCount = Int(emit.pointee.header_count)
        guard let list = emit.pointee.headers, headerCount <= Int(UInt16.max) else { return nil }
        headers = list
        for i in 0..<headerCount {
            guard list[i].name.size > 0, list[i].name.isShortText, list[i].value.isReadable, list[i].value.size <= HostLimits.allBytes
            else {
                return nil
            }
            headersSize += 6 + list[i].name.size + list[i].value.size
        }
        guard headersSize <= Int(UInt32.max) else { return nil }
    }

    /// Of the frame's body.
    var size: Int {
        MemoryLayout<capelet_frame_emit>.size + domain.size + subject.size + type.size + id.size + headersSize + payload.size
    }

    func write(to ring: inout FrameRing, token: UInt64) {
        let header = capelet_frame_emit(
            domain_size: UInt16(domain.size), subject_size: UInt16(subject.size), type_size: UInt16(type.size), id_size: UInt16(id.size),
            header_count: UInt32(headerCount), headers_size: UInt32(headersSize), payload_size: UInt32(payload.size), reserved: 0)
        ring.begin(type: CAPELET_FRAME_EMIT, token: token, size: size)
        withUnsafeBytes(of: header) { ring.append($0.baseAddress, $0.count) }
        ring.append(domain.data, domain.size)
        ring.append(subject.data, subject.size)
        ring.append(type.data, type.size)
        ring.append(id.data, id.size)
        if let headers {
            for i in 0..<headerCount {
                ring.append(number: UInt16(headers[i].name.size))
                ring.append(number: UInt32(headers[i].value.size))
                ring.append(headers[i].name.data, headers[i].name.size)
                ring.append(headers[i].value.data, headers[i].value.size)
            }
        }
        ring.append(payload.data, payload.size)
        ring.end()
    }
}

extension capelet_bytes {
    fileprivate var isReadable: Bool { size == 0 || (size > 0 && data != nil) }

    /// Whether this is UTF-8 and its size goes into 16 bits.
    fileprivate var isShortText: Bool { isReadable && size <= Int(UInt16.max) && isUTF8 }

    private var isUTF8: Bool {
        guard size > 0, let data else { return true }
        let bytes = UnsafeRawBufferPointer(start: data, count: size)
        var at = 0
        while at < size {
            let first = bytes[at]
            if first < 0x80 {
                at += 1
                continue
            }
            // Length and the range of the second byte, which excludes overlong forms, surrogates and numbers over 10FFFF.
            let length: Int
            var second: ClosedRange<UInt8> = 0x80...0xbf
            switch first {
            case 0xc2...0xdf: length = 2
            case 0xe0: (length, second) = (3, 0xa0...0xbf)
            case 0xed: (length, second) = (3, 0x80...0x9f)
            case 0xe1...0xef: length = 3
            case 0xf0: (length, second) = (4, 0x90...0xbf)
            case 0xf1...0xf3: length = 4
            case 0xf4: (length, second) = (4, 0x80...0x8f)
            default: return false
            }
            guard at + length <= size, second.contains(bytes[at + 1]) else { return false }
            for i in 2..<max(2, length) where bytes[at + i] & 0xc0 != 0x80 { return false }
            at += length
        }
        return true
    }
}
