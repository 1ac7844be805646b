import Testing

@testable import Routing

@Suite("Signatures of C functions")
struct FunctionSignatureTests {
    @Test("Every type where it can stand")
    func types() throws {
        let parameters = FunctionType.allCases.filter(\.canBeParameter)
        let results = FunctionType.allCases.filter(\.canBeResult)
        #expect(Set(parameters + results) == Set(FunctionType.allCases))
        for result in results {
            for parameter in parameters {
                let signature = FunctionSignature(result: result, parameters: [parameter, .i32])
                #expect(try FunctionSignature(parsing: signature.description) == signature)
            }
        }
    }

    @Test(
        "Blanks do not matter",
        arguments: [
            "u64 (u64, bytes, u32)", "u64(u64,bytes,u32)", "  u64\t( u64 ,\n bytes , u32 )  ",
        ])
    func blanks(text: String) throws {
        #expect(try FunctionSignature(parsing: text) == FunctionSignature(result: .u64, parameters: [.u64, .bytes, .u32]))
    }

    @Test("No parameters, and as many as there can be")
    func counts() throws {
        #expect(try FunctionSignature(parsing: "void ()").parameters == [])
        #expect(try FunctionSignature(parsing: "i32 (  )").parameters == [])
        let most = Array(repeating: "u8", count: FunctionSignature.parametersMax).joined(separator: ", ")
        #expect(try FunctionSignature(parsing: "i32 (\(most))").parameters.count == FunctionSignature.parametersMax)
        #expect(try FunctionSignature(parsing: "i32 (buffer, u64 *, size*)").parameters == [.buffer, .u64Pointer, .sizePointer])
    }

    struct Wrong: Sendable, CustomTestStringConvertible {
        var text: String
        var message: String
        var hint: String?
        var testDescription: String { text }
        init(_ text: String, _ message: String, _ hint: String? = nil) { (self.text, self.message, self.hint) = (text, message, hint) }
    }

    static let form = "write it as in \"u64 (u64, bytes, u32)\""

    @Test(
        "What is wrong, where, and what to do",
        arguments: [
            Wrong("", "the end where the type of the result should be at character 1", form),
            Wrong("u64", "the end where '(' and the types of the parameters should be at character 4", form),
            Wrong("u64 (", "the end where a type should be at character 6", form),
            Wrong("u64 (u8", "the end where ',' or ')' should be at character 8", form),
            Wrong("u64 (u8,", "the end where a type should be at character 9", form),
            Wrong("u64 (u8,)", "')' where a type should be at character 9", form),
            Wrong("u64 (u8))", "')' where nothing more should be at character 9", form),
            Wrong("u64 (u8 crc)", "'crc' where ',' or ')' should be at character 9", form),
            Wrong("u64 (u8; u8)", "';' where ',' or ')' should be at character 8", form),
            Wrong("u64 crc32(u8)", "'crc32' where '(' and the types of the parameters should be at character 5", form),
            Wrong("u64 (u63)", "unknown type 'u63' at character 6", "did you mean 'u64'?"),
            Wrong("u64 (byts)", "unknown type 'byts' at character 6", "did you mean 'bytes'?"),
            Wrong("int (u8)", "unknown type 'int' at character 1", "write 'i32' for it"),
            Wrong("u64 (char*)", "unknown type 'char*' at character 6", "write 'string' for it"),
            Wrong("u64 (size_t)", "unknown type 'size_t' at character 6", "write 'size' for it"),
            Wrong(
                "u64 (u8, something)", "unknown type 'something' at character 10",
                "types: void, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, bool, size, string, bytes, buffer, pointer, "
                    + "i32*, i64*, u32*, u64*, size*"),
            Wrong("u64 (void)", "a parameter of type void at character 6", "write () for no parameters, bytes or buffer for void *"),
            Wrong(
                "u64 (string, ...)", "'...', and functions with variable arguments cannot be called, at character 14",
                "write a small function or plugin in C that calls it"),
            Wrong(
                "u64 (struct tm)", "'struct', which cannot be passed by value, at character 6",
                "write a small function or plugin in C that calls it"),
            Wrong("enum e ()", "'enum', which cannot be passed by value, at character 1", "an enum is i32 or u32"),
            Wrong(
                "u64 (pointer)", "a parameter of type 'pointer', which only a result can have, at character 6",
                "bytes for memory that is read, buffer for memory that is written"),
            Wrong(
                "bytes ()", "a result of type 'bytes', which only a parameter can have, at character 1",
                "write pointer when only NULL matters, string for text"),
            Wrong(
                "u64* ()", "a result of type 'u64*', which only a parameter can have, at character 1",
                "write pointer when only NULL matters, string for text"),
            Wrong(
                "u64 (u64**)", "'*' where ',' or ')' should be at character 10",
                "pointers: string, bytes, buffer; i32*, i64*, u32*, u64* and size* for a written length"),
            Wrong("u64 (\u{1}\u{7f})", "' ' where a type should be at character 6", form),
            Wrong("u64 (👩‍👩‍👧‍👦)", "'👩' where a type should be at character 6", form),
            Wrong("u8 (" + Array(repeating: "u8", count: 17).joined(separator: ",") + ")", "more than 16 parameters at character 53"),
            Wrong(String(repeating: " ", count: 1024) + "u8 ()", "more than 1024 characters at character 1025"),
        ])
    func wrong(_ wrong: Wrong) {
        do throws(FunctionSignatureError) {
            let signature = try FunctionSignature(parsing: wrong.text)
            Issue.record("it is \(signature)")
        } catch {
            #expect(error.description == wrong.message)
            #expect(error.hint == wrong.hint)
        }
    }

    @Test("Any text gives a signature or an error that points into it")
    func total() {
        var random = UInt64(88_172_645_463_325_252)
        func next(_ bound: Int) -> Int {
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            return Int(random % UInt64(bound))
        }
        let pieces =
            FunctionType.allCases.map(\.rawValue) + [" ", ",", "(", ")", "*", ".", "...", "struct", "\n", "é", "\0", "u", "64", "_", "("]
        for _ in 0..<20_000 {
            let text = (0..<next(12)).map { _ in pieces[next(pieces.count)] }.joined()
            do throws(FunctionSignatureError) {
                let signature = try FunctionSignature(parsing: text)
                #expect((try? FunctionSignature(parsing: signature.description)) == signature)
            } catch {
                #expect((1...text.unicodeScalars.count + 1).contains(error.position), "\(text)")
                #expect(!error.description.isEmpty)
            }
        }
    }
}
