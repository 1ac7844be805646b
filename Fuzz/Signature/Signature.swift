// Signature: the signatures of plain C functions, as routing files have them.
//
// Always: what is refused is refused at a place in the text; what is accepted and written again is accepted, and the same; what it says can be
// called: types that a function can have, in number not too many.

import FuzzSupport

@testable import Routing

/// What libFuzzer calls with each input.
@c(LLVMFuzzerTestOneInput)
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    let text = String(decoding: UnsafeRawBufferPointer(start: start, count: size), as: UTF8.self)
    do throws(FunctionSignatureError) {
        check(try FunctionSignature(parsing: text))
    } catch {
        always(
            (1...min(text.unicodeScalars.count, FunctionSignature.charactersMax) + 1).contains(error.position), "a place beyond the text")
        always(!error.description.isEmpty && error.hint != "", "a signature that is refused for no reason")
    }
    return 0
}

private func check(_ signature: FunctionSignature) {
    always(signature.parameters.count <= FunctionSignature.parametersMax, "\(signature.parameters.count) parameters")
    always(signature.result.canBeResult && signature.parameters.allSatisfy(\.canBeParameter), "types that a function cannot have")
    let again = try? FunctionSignature(parsing: signature.description)
    always(again == signature, "another signature when read again: \(signature)")
}
