// PluginText: what a plugin writes and the host reads as text: its description, and its standard output and error.
//
// Always: log lines are the same however the stream was cut; no line is longer than allowed; what is shown holds no control characters.

import FuzzSupport
@testable import Supervisor

/// What libFuzzer calls with each input.
@c(LLVMFuzzerTestOneInput)
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    let bytes = UnsafeRawBufferPointer(start: start, count: size)
    checkDescription(String(decoding: bytes, as: UTF8.self))
    checkLines(bytes)
    return 0
}

private func checkDescription(_ text: String) {
    guard let description = try? PluginDescription(parsing: text) else { return }
    always(!description.lambdas.isEmpty && description.threads > 0, "a description of nothing")
    for text in [description.version] + description.lambdas.flatMap({ [$0.name, $0.summary] + $0.handlers }) {
        always(
            !text.unicodeScalars.contains { ($0.value < 0x20 && $0 != "\t") || (0x7F...0x9F).contains($0.value) },
            "a control character in \(text)")
    }
    always(Set(description.lambdas.map(\.name)).count == description.lambdas.count, "two lambdas of one name")
    var again = "plugin x \(description.version)\n"
    for lambda in description.lambdas { again += "lambda \(lambda.name)\t\(lambda.summary)\t\(lambda.handlers.joined(separator: ","))\n" }
    again += "threads \(description.threads)\nend\n"
    guard let other = try? PluginDescription(parsing: again) else { fatalError("a description that cannot be read again: \(again)") }
    always(
        other.version == description.version && other.threads == description.threads
            && other.lambdas.map(\.name) == description.lambdas.map(\.name)
            && other.lambdas.map(\.summary) == description.lambdas.map(\.summary)
            && other.lambdas.map(\.handlers) == description.lambdas.map(\.handlers),
        "another description when read again")
}

private func checkLines(_ bytes: UnsafeRawBufferPointer) {
    let whole = lines(bytes, step: max(bytes.count, 1))
    for step in [1 + bytes.count / 200, 4096] where step < bytes.count {
        always(whole == lines(bytes, step: step), "other lines when the stream is cut otherwise")
    }
    var tail = LogTail()
    tail.add(bytes)
    for line in whole + [tail.text] {
        always(
            !line.unicodeScalars.contains { ($0.value < 0x20 && $0 != "\t" && $0 != "\n") || (0x7F...0x9F).contains($0.value) },
            "a control character is shown")
    }
    always(tail.text.utf8.count <= 4 * LogTail.bytesMax, "a tail that is too long")
}

private func lines(_ bytes: UnsafeRawBufferPointer, step: Int) -> [String] {
    var reader = LogLines()
    var lines: [String] = []
    func add(_ line: [UInt8], _ isCut: Bool) {
        always(line.count <= LogLines.lineBytesMax, "a line that is too long")
        lines.append(LogLines.text(line, isCut: isCut))
    }
    var at = 0
    while at < bytes.count {
        let end = min(at + step, bytes.count)
        reader.add(UnsafeRawBufferPointer(rebasing: bytes[at..<end]), add)
        at = end
    }
    reader.end(add)
    return lines
}
