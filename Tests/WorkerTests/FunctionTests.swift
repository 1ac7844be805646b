import CWorkerProtocol
import Foundation
import Glibc
import Testing

/// Lambdas that are plain C functions: every type, real libraries, and what goes wrong.
@Suite struct FunctionTests {
    /// One function with what it gets and what becomes of it.
    struct Function {
        var symbol: String
        var result = "i32"
        var arguments: [String] = []
        var success = "any"
        var output = "result"

        var settings: [String: String] {
            ["function.symbol": symbol, "function.result": result, "function.success": success, "function.output": output]
        }
        var lists: [(String, String)] { arguments.map { ("function.argument", $0) } }
    }

    private static func keeper(_ library: String) throws -> TestKeeper {
        try TestKeeper.loaded(library, ["library.kind": library == "libplain.so" ? "copy" : "system"])
    }

    private func worker(_ library: String, _ function: Function, _ settings: [String: String] = [:]) throws -> TestWorker {
        let worker = try Self.keeper(library).ask("f", function.settings.merging(settings) { $1 }, lists: function.lists)
        try worker.awaitStarted()
        return worker
    }

    /// Runs one event; says `SUCCESS output`, `RETRY message` or `FATAL message`.
    private func run(_ library: String, _ function: Function, _ event: TestWorker.Event = .init("")) throws -> String {
        let worker = try worker(library, function)
        let start = try worker.next()
        guard start.type == CAPELET_FRAME_READY else { return "NOT READY \(start.text)" }
        return try Self.outcome(worker, event)
    }

    private static func outcome(_ worker: TestWorker, _ event: TestWorker.Event) throws -> String {
        let frames = try worker.until(worker.publish([event])[0])
        let output = frames.last { $0.type == CAPELET_FRAME_OUTPUT }
        let result = frames.last!
        switch result.code {
        case 0: return output.map { "SUCCESS \($0.text)" } ?? "SUCCESS"
        case 1: return "RETRY \(result.text)"
        case 2: return "FATAL \(result.text)"
        default: return "CODE \(result.code)"
        }
    }

    // MARK: types

    @Test(arguments: [
        ("negate_i8", "i8", "i8 integer -128", "-128"), ("negate_i8", "i8", "i8 integer 127", "-127"),
        ("negate_i16", "i16", "i16 integer -32767", "32767"), ("negate_i32", "i32", "i32 integer 2147483647", "-2147483647"),
        ("negate_i64", "i64", "i64 integer 9223372036854775807", "-9223372036854775807"),
        ("negate_i64", "i64", "i64 integer -9223372036854775808", "-9223372036854775808"),
        ("invert_u8", "u8", "u8 integer 0", "255"), ("invert_u16", "u16", "u16 integer 1", "65534"),
        ("invert_u32", "u32", "u32 integer 0", "4294967295"), ("invert_u64", "u64", "u64 integer 0", "18446744073709551615"),
        ("invert_u64", "u64", "u64 integer 18446744073709551615", "0"),
        ("half_f32", "f32", "f32 float 0.2", "0.1"), ("half_f32", "f32", "f32 float 3e38", "1.5e+38"),
        ("half_f64", "f64", "f64 float 0.2", "0.1"), ("half_f64", "f64", "f64 float 1e-320", "5e-321"),
        ("half_f64", "f64", "f64 float 6", "3"),
        ("invert_bool", "bool", "bool bool true", "false"), ("invert_bool", "bool", "bool bool false", "true"),
        ("next_size", "size", "size integer 41", "42"), ("same_text", "string", "string text two words", "two words"),
        ("same_text", "string", "string text ", ""),
    ])
    func everyTypeGoesInAndComesOut(symbol: String, result: String, argument: String, text: String) throws {
        #expect(try run("libplain.so", Function(symbol: symbol, result: result, arguments: [argument])) == "SUCCESS \(text)")
    }

    @Test func sixteenParametersOfAllSorts() throws {
        let types = ["i8", "f64", "u16", "f32", "i64", "f64", "u32", "f32", "u64", "f64", "i16", "f64", "u8", "f64", "i32", "f64"]
        let arguments = types.enumerated().map { $1.hasPrefix("f") ? "\($1) float \($0 + 1).5" : "\($1) integer \($0 + 1)" }
        let sum = types.enumerated().map { Double($0 + 1) * (Double($0 + 1) + ($1.hasPrefix("f") ? 0.5 : 0)) }.reduce(0, +)
        #expect(
            try run("libplain.so", Function(symbol: "sixteen", result: "f64", arguments: arguments)) == "SUCCESS \(Int(sum))")
        let tooMany = Function(symbol: "sixteen", result: "f64", arguments: arguments + ["u8 integer 1"])
        #expect(try run("libplain.so", tooMany) == "NOT READY the function has too many parameters")
    }

    @Test func functionsWithoutAResult() throws {
        #expect(try run("libplain.so", Function(symbol: "nothing", result: "void", output: "none")) == "SUCCESS")
        let pointer = Function(
            symbol: "same_pointer", result: "pointer", arguments: ["bytes bytes payload"], success: "non-null", output: "none")
        #expect(try run("libplain.so", pointer, .init("x")) == "SUCCESS")
    }

    // MARK: what an event gives

    @Test func everyPartOfAnEvent() throws {
        var event = TestWorker.Event("  -17\n")
        event.subject = "2.5e3"
        event.headers = [("tenant", "a b")]
        event.inputs = [("before", "from before")]
        event.attempt = 3
        for (symbol, result, argument, text) in [
            ("same_text", "string", "string bytes payload", "  -17\n"), ("same_text", "string", "string bytes subject", "2.5e3"),
            ("same_text", "string", "string bytes type", "type"), ("same_text", "string", "string bytes id", "id"),
            ("same_text", "string", "string bytes input", "from before"), ("same_text", "string", "string header tenant", "a b"),
            ("next_size", "size", "size size payload", "7"), ("next_size", "size", "size size input", "12"),
            ("negate_i8", "i8", "i8 parsed-integer payload", "17"), ("half_f64", "f64", "f64 parsed-float subject", "1250"),
            ("half_f32", "f32", "f32 parsed-float payload", "-8.5"), ("next_size", "size", "size number attempt", "4"),
            ("invert_u64", "u64", "u64 number sequence", "18446744073709551573"),
            ("negate_i64", "i64", "i64 number time", "-1700000000000000"),
        ] {
            #expect(
                try run("libplain.so", Function(symbol: symbol, result: result, arguments: [argument]), event) == "SUCCESS \(text)",
                "\(argument)")
        }
        #expect(
            try run("libplain.so", Function(symbol: "next_size", result: "size", arguments: ["size number offset"])).hasPrefix(
                "SUCCESS 100"))
    }

    @Test(arguments: [
        ("same_text", "string bytes payload", "a\0b", "argument 1: $payload holds a zero byte, at which a C string ends"),
        ("same_text", "string header tenant", "", "argument 1: the event has no header 'tenant'"),
        ("same_text", "string bytes input", "", "argument 1: there is no $input: the lambda before this one has no output for this event"),
        ("negate_i8", "i8 parsed-integer payload", "128", "argument 1: the number in $payload is 128, which is out of the range of i8"),
        ("negate_i8", "i8 parsed-integer payload", "-129", "argument 1: the number in $payload is -129, which is out of the range of i8"),
        ("invert_u32", "u32 parsed-integer payload", "-1", "argument 1: the number in $payload is -1, which is out of the range of u32"),
        (
            "invert_u32", "u32 parsed-integer payload", "4294967296",
            "argument 1: the number in $payload is 4294967296, which is out of the range of u32"
        ),
        (
            "invert_u64", "u64 parsed-integer payload", "18446744073709551616",
            "argument 1: $payload is not a whole number of at most 64 bits: '18446744073709551616'"
        ),
        ("negate_i32", "i32 parsed-integer payload", "1.5", "argument 1: $payload is not a whole number of at most 64 bits: '1.5'"),
        ("negate_i32", "i32 parsed-integer payload", "", "argument 1: $payload is not a whole number of at most 64 bits: ''"),
        ("half_f32", "f32 parsed-float payload", "1e39", "argument 1: the number in $payload is too large for f32"),
        ("half_f64", "f64 parsed-float payload", "1e999", "argument 1: the number in $payload is too large for f64"),
        ("half_f64", "f64 parsed-float payload", "nan", "argument 1: $payload is not a decimal number: 'nan'"),
        ("half_f64", "f64 parsed-float payload", "0x10", "argument 1: $payload is not a decimal number: '0x10'"),
        ("half_f64", "f64 parsed-float payload", "1 2", "argument 1: $payload is not a decimal number: '1 2'"),
        (
            "invert_u8", "u8 size payload", String(repeating: "x", count: 256),
            "argument 1: the size of $payload is 256, which is out of the range of u8"
        ),
    ])
    func whatDoesNotFitIsFatal(symbol: String, argument: String, payload: String, why: String) throws {
        let result = argument.split(separator: " ")[0]
        #expect(
            try run("libplain.so", Function(symbol: symbol, result: String(result), arguments: [argument]), .init(payload))
                == "FATAL \(why)")
    }

    @Test func aWorkerGoesOnAfterAnEventThatDoesNotFit() throws {
        let worker = try worker("libplain.so", Function(symbol: "same_text", result: "string", arguments: ["string bytes payload"]))
        _ = try worker.next()
        for (lane, size) in [1, 5000, 0, 70_000, 3].enumerated() {
            let text = String(repeating: "y", count: size)
            #expect(try Self.outcome(worker, .init(text, lane: 1)) == "SUCCESS \(text)")
            #expect(try Self.outcome(worker, .init("a\0", lane: UInt32(2 + lane))).hasPrefix("FATAL"))
        }
    }

    // MARK: buffers

    private func backwards(_ capacity: Int, output: String = "buffer") -> Function {
        Function(
            symbol: "backwards", arguments: ["buffer output \(capacity)", "u32* output-length", "string bytes payload"], success: "zero",
            output: output)
    }

    @Test func theWrittenLengthIsChecked() throws {
        #expect(try run("libplain.so", backwards(4), .init("abcd")) == "SUCCESS dcba")
        #expect(try run("libplain.so", backwards(4), .init("")) == "SUCCESS ")
        #expect(
            try run("libplain.so", backwards(4), .init("abcde"))
                == "FATAL backwards returned 0; its output has, as it says, 5 bytes, and the buffer 4")
        let negative = Function(
            symbol: "negative_length", arguments: ["buffer output 8", "i32* output-length"], success: "zero", output: "buffer")
        #expect(
            try run("libplain.so", negative) == "FATAL negative_length returned 0; its output has, as it says, -1 bytes, and the buffer 8")
    }

    @Test func nothingOfAnEarlierEventIsLeftInTheBuffer() throws {
        let worker = try worker(
            "libplain.so",
            Function(
                symbol: "fill", result: "void", arguments: ["buffer output 6", "size size payload"], output: "buffer"))
        _ = try worker.next()
        #expect(try Self.outcome(worker, .init("12345")) == "SUCCESS xxxxx\0")
        #expect(try Self.outcome(worker, .init("1")) == "SUCCESS x\0\0\0\0\0")
    }

    @Test func aStringInTheBufferHasToEnd() throws {
        let function = Function(
            symbol: "fill", result: "void", arguments: ["buffer output 6", "size size payload"], output: "buffer(string)")
        #expect(try run("libplain.so", function, .init("12345")) == "SUCCESS xxxxx")
        #expect(try run("libplain.so", function, .init("123456")) == "FATAL fill returned; there is no zero byte in its output buffer")
    }

    @Test(arguments: [1, 9, 16, 100, 100_000])
    func writingBeyondTheBufferEndsTheWorker(beyond: Int) throws {
        let worker = try worker(
            "libplain.so",
            Function(
                symbol: "fill", result: "void", arguments: ["buffer output 7", "size size payload"], output: "buffer"))
        _ = try worker.next()
        try worker.publish(String(repeating: "x", count: 7 + beyond))
        let death = try worker.awaitDeath()
        // Into the few bytes before the page it aborts, with words; at the page it crashes.
        #expect(death.wait_status & 0x7f == (beyond <= 9 ? SIGABRT : SIGSEGV))
        let words = "capelet-worker: fill has written beyond its output buffer of 7 bytes\n"
        #expect(worker.printed(worker.errors) == (beyond <= 9 ? words : ""))
    }

    @Test func theEventItselfCannotBeWrittenTo() throws {
        let worker = try worker(
            "libplain.so", Function(symbol: "write_to", result: "void", arguments: ["bytes bytes payload"], output: "none"))
        _ = try worker.next()
        try worker.publish("x")
        #expect(try worker.awaitDeath().wait_status & 0x7f == SIGSEGV)
    }

    // MARK: success

    @Test func successAndErrno() throws {
        func fail(_ success: String, _ code: Int) -> Function {
            Function(symbol: "fail_with", arguments: ["i32 integer \(code)"], success: success)
        }
        #expect(
            try run("libplain.so", fail("non-negative", Int(EAGAIN)))
                == "RETRY fail_with returned -1 (errno 11: Resource temporarily unavailable); success is non-negative")
        #expect(try run("libplain.so", fail("zero", 0)) == "RETRY fail_with returned -1; success is zero")
        #expect(try run("libplain.so", fail("non-null", 0)) == "SUCCESS -1")
        #expect(try run("libplain.so", fail("any", 5)) == "SUCCESS -1")
        func half(_ number: String) -> Function {
            Function(symbol: "half_f64", result: "f64", arguments: ["f64 float \(number)"], success: "non-negative")
        }
        #expect(try run("libplain.so", half("1")) == "SUCCESS 0.5")
        #expect(try run("libplain.so", half("-1")) == "RETRY half_f64 returned -0.5; success is non-negative")
        let truth = Function(symbol: "invert_bool", result: "bool", arguments: ["bool bool true"], success: "non-null")
        #expect(try run("libplain.so", truth) == "RETRY invert_bool returned false; success is non-null")
    }

    @Test func textThatIsReturnedIsBounded() throws {
        func text(_ success: String) -> Function {
            Function(symbol: "text_of", result: "string", arguments: ["size parsed-integer payload"], success: success)
        }
        #expect(try run("libplain.so", text("any"), .init("\(1 << 20)")) == "SUCCESS " + String(repeating: "x", count: 1 << 20))
        #expect(
            try run("libplain.so", text("any"), .init("\(1 << 20 + 1)"))
                == "FATAL text_of returned a pointer; its text is longer than an output can be, 1 MiB")
        func null(_ success: String) -> Function {
            Function(symbol: "same_text", result: "string", arguments: ["string null"], success: success)
        }
        #expect(try run("libplain.so", null("non-null")) == "RETRY same_text returned NULL; success is non-null")
        #expect(try run("libplain.so", null("any")) == "SUCCESS")
    }

    // MARK: real libraries

    @Test(arguments: [
        (
            "libz.so.1", Function(symbol: "crc32", result: "u64", arguments: ["u64 integer 0", "bytes bytes payload", "u32 size payload"]),
            "907060870"
        ),
        (
            "libz.so.1",
            Function(symbol: "adler32", result: "u64", arguments: ["u64 integer 1", "bytes bytes payload", "u32 size payload"]), "103547413"
        ),
        ("libz.so.1", Function(symbol: "zlibVersion", result: "string", success: "non-null"), nil),
        ("libm.so.6", Function(symbol: "pow", result: "f64", arguments: ["f64 float 2", "f64 float 0.5"]), "1.4142135623730951"),
        ("libm.so.6", Function(symbol: "cbrt", result: "f64", arguments: ["f64 float 8"]), "2"),
        ("libm.so.6", Function(symbol: "sqrtf", result: "f32", arguments: ["f32 float 2"]), "1.4142135"),
        ("libm.so.6", Function(symbol: "sqrt", result: "f64", arguments: ["f64 float -1"]), "nan"),
        ("libc.so.6", Function(symbol: "strlen", result: "size", arguments: ["string bytes payload"]), "5"),
        ("libc.so.6", Function(symbol: "atoi", arguments: ["string text 42nd"]), "42"),
        ("libc.so.6", Function(symbol: "abs", arguments: ["i32 integer -7"]), "7"),
        ("libc.so.6", Function(symbol: "labs", result: "i64", arguments: ["i64 integer -9223372036854775807"]), "9223372036854775807"),
        ("libc.so.6", Function(symbol: "toupper", arguments: ["i32 integer 97"]), "65"),
        ("libc.so.6", Function(symbol: "getenv", result: "string", arguments: ["string text PRESENT"], success: "non-null"), "yes"),
        (
            "libc.so.6",
            Function(symbol: "strerror_r", result: "string", arguments: ["i32 integer 2", "buffer output 100", "size output-size"]),
            "No such file or directory"
        ),
    ])
    func realFunctions(library: String, function: Function, output: String?) throws {
        let worker = try worker(library, function, ["environment.PRESENT": "yes"])
        _ = try worker.next()
        let outcome = try Self.outcome(worker, .init("hello"))
        if let output { #expect(outcome == "SUCCESS \(output)") } else { #expect(outcome.hasPrefix("SUCCESS 1.")) }
    }

    @Test func aNullOfGetenvIsAFailureByItsRule() throws {
        let function = Function(symbol: "getenv", result: "string", arguments: ["string text ABSENT"], success: "non-null")
        #expect(try run("libc.so.6", function) == "RETRY getenv returned NULL; success is non-null")
    }

    @Test func printedTextGoesToTheLog() throws {
        let worker = try worker(
            "libc.so.6", Function(symbol: "puts", arguments: ["string bytes payload"], success: "non-negative", output: "none"))
        _ = try worker.next()
        #expect(try Self.outcome(worker, .init("said")) == "SUCCESS")
        worker.stop()
        _ = try worker.awaitDeath()
        #expect(worker.printed(worker.output) == "said\n")
    }

    @Test func compressionIntoABuffer() throws {
        let compress = Function(
            symbol: "compress2",
            arguments: ["buffer output 4096", "u64* output-length", "bytes bytes payload", "u64 size payload", "i32 integer 9"],
            success: "zero", output: "buffer")
        let worker = try worker("libz.so.1", compress)
        _ = try worker.next()
        let text = String(repeating: "again and again ", count: 1000)
        let frames = try worker.until(worker.publish(text))
        let packed = try #require(frames.last { $0.type == CAPELET_FRAME_OUTPUT }).body
        #expect(packed.count < 200 && packed.first == 0x78)
        // And back, in another worker, to see that all of it was there.
        let uncompress = Function(
            symbol: "uncompress", arguments: ["buffer output 65536", "u64* output-length", "bytes bytes payload", "u64 size payload"],
            success: "zero", output: "buffer")
        var event = TestWorker.Event("")
        event.payload = packed
        #expect(try run("libz.so.1", uncompress, event) == "SUCCESS \(text)")
        event.payload = Array("no zlib data".utf8)
        #expect(try run("libz.so.1", uncompress, event) == "RETRY uncompress returned -3; success is zero")
    }

    @Test func aDigestOfLibcrypto() throws {
        let sha = Function(
            symbol: "SHA256", result: "pointer", arguments: ["bytes bytes payload", "size size payload", "buffer output 32"],
            success: "non-null", output: "buffer")
        let worker = try worker("libcrypto.so.3", sha)
        _ = try worker.next()
        let frames = try worker.until(worker.publish("hello"))
        let digest = try #require(frames.last { $0.type == CAPELET_FRAME_OUTPUT }).body
        #expect(digest.map { String(format: "%02x", $0) }.joined() == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
    }

    // MARK: what cannot start, and what crashes

    @Test func aMissingLibraryIsNotLoaded() throws {
        let keeper = try TestKeeper()
        try keeper.load("libnothing.so.9", ["library.kind": "system"])
        let answer = try keeper.next()
        #expect(answer.type == CAPELET_KEEPER_LOAD_FAILED)
        #expect(answer.text == "libnothing.so.9: cannot open shared object file: No such file or directory")
        let copy = try TestKeeper()
        try copy.load("text.so", ["library.kind": "copy"])
        #expect(try copy.next().text == "text.so: invalid ELF header")
    }

    @Test(arguments: [
        (Function(symbol: "crc33"), "undefined symbol: crc33"), (Function(symbol: ""), "the settings name no function"),
        (Function(symbol: "crc32", result: "bytes"), "function.result, which makes no sense: bytes"),
        (Function(symbol: "crc32", success: "some"), "function.success, which makes no sense: some"),
        (Function(symbol: "crc32", output: "all"), "function.output, which makes no sense: all"),
        (Function(symbol: "crc32", output: "buffer"), "the settings want an output buffer and give none"),
        (Function(symbol: "crc32", arguments: ["void integer 1"]), "an argument that makes no sense: void integer 1"),
        (Function(symbol: "crc32", arguments: ["u8 integer 256"]), "an argument that makes no sense: u8 integer 256"),
        (Function(symbol: "crc32", arguments: ["string integer 1"]), "an argument that makes no sense"),
        (Function(symbol: "crc32", arguments: ["u64 bytes payload"]), "an argument that makes no sense"),
        (Function(symbol: "crc32", arguments: ["buffer output 1048577"]), "an argument that makes no sense"),
        (Function(symbol: "crc32", arguments: ["buffer output 4", "buffer output 4"]), "an argument that makes no sense"),
        (Function(symbol: "crc32", arguments: ["u64* output-length"]), "the settings want an output buffer and give none"),
        (Function(symbol: "crc32", arguments: [""]), "an argument that makes no sense"),
    ])
    func settingsThatMakeNoSenseDoNotStart(function: Function, why: String) throws {
        let outcome = try run("libz.so.1", function)
        #expect(outcome.hasPrefix("NOT READY") && outcome.contains(why), "\(outcome)")
    }

    @Test(arguments: ["some_data", "some_thread_data"])
    func dataIsNoFunction(symbol: String) throws {
        #expect(try run("libplain.so", Function(symbol: symbol)).hasPrefix("NOT READY"))
    }

    @Test func aCrashEndsTheWorkerOnly() throws {
        let keeper = try Self.keeper("libc.so.6")
        let strlen = Function(symbol: "strlen", result: "size", arguments: ["string null"])
        let worker = try keeper.ask("f", strlen.settings, lists: strlen.lists)
        try worker.awaitStarted()
        _ = try worker.next()
        try worker.publish("x")
        #expect(try worker.awaitDeath().wait_status & 0x7f == SIGSEGV)
        let abs = Function(symbol: "abs", arguments: ["i32 integer -1"])
        let next = try keeper.ask("f", abs.settings, lists: abs.lists)
        try next.awaitStarted()
        _ = try next.next()
        #expect(try Self.outcome(next, .init("")) == "SUCCESS 1")
    }

    @Test func workersThatLoadForThemselves() throws {
        let keeper = try TestKeeper.loaded("libz.so.1", ["library.kind": "system", "plugin.exec": "1"])
        let crc = Function(symbol: "crc32", result: "u64", arguments: ["u64 integer 0", "bytes bytes payload", "u32 size payload"])
        let worker = try keeper.ask("f", crc.settings, lists: crc.lists)
        try worker.awaitStarted()
        _ = try worker.next()
        #expect(try Self.outcome(worker, .init("hello")) == "SUCCESS 907060870")
    }

    @Test func oneTemplateServesManyFunctionsOfItsLibrary() throws {
        let keeper = try Self.keeper("libm.so.6")
        for (symbol, output) in [("sqrt", "2"), ("cbrt", "1.5874010519681996"), ("exp2", "16")] {
            let function = Function(symbol: symbol, result: "f64", arguments: ["f64 float 4"])
            let worker = try keeper.ask(symbol, function.settings, lists: function.lists)
            try worker.awaitStarted()
            _ = try worker.next()
            #expect(try Self.outcome(worker, .init("")) == "SUCCESS \(output)")
        }
    }

    // MARK: the mode `library`

    @Test func describesALibrary() throws {
        let answer = try Fixtures.run(["library", "-", "libz.so.1", "crc32", "crc33"])
        #expect((answer.status, answer.errors) == (0, ""))
        let lines = answer.output.split(separator: "\n")
        #expect(lines.first?.hasPrefix("library /") == true && lines.first?.contains("libz.so.1") == true)
        #expect(lines.contains("function crc32"))
        #expect(lines.contains { $0.hasPrefix("missing crc33\t") && $0.hasSuffix("undefined symbol: crc33") })
        #expect(lines.suffix(2) == ["threads 1", "end"])
        let own = try Fixtures.run(["library", Fixtures.plugins, "libplain.so", "some_data", "nothing"])
        #expect(own.output.contains("missing some_data\tsome_data: it is data, not a function\nfunction nothing\n"))
        let absent = try Fixtures.run(["library", "-", "libnothing.so.9", "f"])
        #expect((absent.status, absent.output) == (1, "error libnothing.so.9: cannot open shared object file: No such file or directory\n"))
        let text = try Fixtures.run(["library", Fixtures.plugins, "text.so"])
        #expect((text.status, text.output) == (1, "error text.so: invalid ELF header\n"))
    }
}
