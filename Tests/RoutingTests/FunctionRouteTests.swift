import Testing

@testable import Routing

@Suite("Lambdas that are C functions")
struct FunctionRouteTests {
    /// A file with one lambda whose keys are `keys`, from line 2, column 13 on.
    static func file(_ keys: String) -> String { "domains: { d: { lambdas: [f] } }\nlambdas: { f: { \(keys) } }" }

    private func function(_ keys: String) throws -> FunctionRoute {
        try #require(try table(Self.file(keys)).lambdas["f"]?.function)
    }

    @Test("The example of the documents")
    func checksum() throws {
        let found = try function(
            #"library: libz.so.1, function: crc32, signature: "u64 (u64, bytes, u32)", arguments: [0, $payload, $payload.size], success: any, output: result"#
        )
        #expect(
            found
                == FunctionRoute(
                    library: "libz.so.1", function: "crc32", signature: FunctionSignature(result: .u64, parameters: [.u64, .bytes, .u32]),
                    arguments: [.integer(0), .bytes(.payload), .size(.payload)], success: .any, output: .result))
        #expect(found.isSystemLibrary && found.libraryName == "libz.so.1" && found.capacity == nil)
        #expect((found.libraryPlace.line, found.libraryPlace.column) == (2, 26))
        #expect((found.functionPlace.line, found.functionPlace.column) == (2, 47))
    }

    @Test("Libraries by path are relative to the file")
    func paths() throws {
        let rest = "function: f, signature: void ()"
        #expect(try function("library: ./lib/libx.so, \(rest)").library == "/srv/capelet/lib/libx.so")
        #expect(try function("library: ../libx.so, \(rest)").library == "/srv/libx.so")
        let absolute = try function("library: /opt/libstdc++.so.6, \(rest)")
        #expect(absolute.library == "/opt/libstdc++.so.6" && absolute.libraryName == "libstdc++.so.6" && !absolute.isSystemLibrary)
    }

    @Test("Every argument")
    func arguments() throws {
        let table = "domains: { d: { lambdas: [up, f] } }\n"
        func read(_ type: String, _ text: String) throws -> FunctionArgument? {
            let keys = "after: up, library: l, function: f, signature: 'void (\(type))', arguments: [\(text)]"
            return try RoutingFile.parse(text: table + "lambdas: { f: { \(keys) } }", path: "x", baseDirectory: "/").lambdas["f"]?.function?
                .arguments.first
        }
        let cases: [(String, String, FunctionArgument)] = [
            ("i8", "-128", .integer(-128)), ("u64", "18446744073709551615", .integer(Int128(UInt64.max))),
            ("u64", "0xffffffffffffffff", .integer(Int128(UInt64.max))), ("i64", "-9223372036854775808", .integer(Int128(Int64.min))),
            ("u32", "0o17", .integer(15)), ("f64", "1.5", .float(1.5)), ("f32", "-1e3", .float(-1000)),
            ("f64", "9007199254740992", .integer(1 << 53)),
            ("bool", "true", .bool(true)), ("bool", "False", .bool(false)),
            ("string", "word", .text("word")), ("string", "'5'", .text("5")), ("string", "\"\"", .text("")), ("string", "$$x", .text("$x")),
            ("bytes", "\"$$payload\"", .text("$payload")), ("string", "null", .null), ("bytes", "~", .null), ("u64*", "null", .null),
            ("buffer", "null", .null),
            ("string", "$payload", .bytes(.payload)), ("bytes", "\"$subject\"", .bytes(.subject)), ("string", "$type", .bytes(.type)),
            ("string", "$id", .bytes(.id)), ("bytes", "$input", .bytes(.input)), ("size", "$input.size", .size(.input)),
            ("i32", "$payload.integer", .parsedInteger(.payload)), ("f32", "$subject.float", .parsedFloat(.subject)),
            ("u64", "$sequence", .number(.sequence)), ("u64", "$offset", .number(.offset)), ("i64", "$time", .number(.time)),
            ("u32", "$attempt", .number(.attempt)), ("string", "$header.X-Name", .header("x-name")),
            ("string", "$header.a.b", .header("a.b")), ("buffer", "$output(4096)", .output(4096)),
            ("buffer", "$output(64KiB)", .output(65536)),
        ]
        for (type, text, expected) in cases {
            #expect(try read(type, text) == expected, "\(type) \(text)")
        }
        let whole = try function(
            "library: l, function: f, signature: 'i32 (buffer, size*, u32)', arguments: [$output(8), $output.length, $output.size], success: zero, output: buffer"
        )
        #expect(whole.arguments == [.output(8), .outputLength, .outputSize] && whole.capacity == 8)
    }

    @Test("What a reload changes is told, but for text")
    func changes() throws {
        func made(_ argument: String, _ output: String = "none") throws -> RouteTable {
            try table(
                Self.file("library: l, function: f, signature: 'i32 (string)', arguments: [\(argument)], success: any, output: \(output)"))
        }
        let old = try made("secret-1")
        #expect(try made("secret-2").changes(from: old).map(\.description) == ["lambda 'f': settings changed"])
        #expect(
            try made("$payload", "result").changes(from: old).map(\.description) == [
                "lambda 'f': arguments changed from [\"...\"] to [$payload]", "lambda 'f': output changed from none to result",
            ])
        let moved = try table(
            "# a comment\n" + Self.file("library: l, function: f, signature: 'i32 (string)', arguments: [secret-1], success: any"))
        #expect(moved == old && moved.changes(from: old) == [])
        #expect(try table("domains: { d: { lambdas: [f] } }").changes(from: old).contains { $0.key == "function" })
    }

    @Test("The defaults show an example that is right")
    func defaults() throws {
        let text = RouteTable.defaultsText().split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix("  # ") ? "  " + line.dropFirst(4) : String(line)
        }.joined(separator: "\n")
        let table = try table(text)
        #expect(table.lambdas["checksum"]?.function?.function == "crc32")
        #expect(table.functionsByLibrary == [:] && table.needsPlugins, "no domain names it")
    }

    @Test("Plugins are needed when a lambda lives in one")
    func needs() throws {
        #expect(try table("domains: { d: { lambdas: [f] } }").needsPlugins)
        let alone = try table(Self.file("library: l, function: f, signature: void ()"))
        #expect(!alone.needsPlugins && alone.functionsByLibrary == ["l": ["f"]])
        let both = try table("domains: { d: { lambdas: [f, g] } }\nlambdas: { f: { library: l, function: f, signature: void () } }")
        #expect(both.needsPlugins)
    }

    @Test("Mistakes are named with line and column", arguments: wrongKeys + wrongArguments + wrongBuffers + wrongResults)
    func mistake(_ mistake: Mistake) {
        #expect(problems(mistake.text) == mistake.problems)
    }

    private static func wrong(_ keys: String, _ problems: String...) -> Mistake {
        var mistake = Mistake(file(keys))
        mistake.problems = problems.map { "capelet.yaml" + $0 }
        return mistake
    }

    static let whole = "library: l, function: f, signature: i32 (), success: any"

    static let wrongKeys: [Mistake] = [
        wrong(
            "library: l", ":2:12: lambda 'f' lacks the key 'function'; a function needs library, function and signature",
            ":2:12: lambda 'f' lacks the key 'signature'; write signature: \"u64 (u64, bytes, u32)\""),
        wrong(
            "function: f, signature: i32 (), success: any",
            ":2:12: lambda 'f' lacks the key 'library'; a function needs library, function and signature"),
        wrong(
            "library: l, function: f, signature: i32 ()",
            ":2:12: lambda 'f' lacks the key 'success'; say what it returns when it has succeeded: zero, non-negative, non-null, any"),
        wrong(
            "output: result", ":2:12: lambda 'f' lacks the key 'library'; a function needs library, function and signature",
            ":2:12: lambda 'f' lacks the key 'function'; a function needs library, function and signature",
            ":2:12: lambda 'f' lacks the key 'signature'; write signature: \"u64 (u64, bytes, u32)\""),
        wrong(
            "plugin: p, \(whole)",
            ":2:17: 'plugin' in lambda 'f' does not go together with 'library' and 'function'; a function lives in a library, not in a plugin"
        ),
        wrong(
            "lambda: p, \(whole)",
            ":2:17: 'lambda' in lambda 'f' does not go together with 'library' and 'function'; 'function' names what is called"),
        wrong(
            "config: { a: 1 }, \(whole)",
            ":2:17: 'config' in lambda 'f' does not go together with 'library' and 'function'; a function gets its values by 'arguments'"),
        wrong("libary: l, \(whole)", ":2:17: unknown key 'libary' in lambda 'f'; did you mean 'library'?"),
        wrong(
            "library: 'lib z', function: f, signature: void ()",
            ":2:26: 'library' in lambda 'f' is 'lib z', which is not the name of a library; "
                + "a name as in libz.so.1 that the system's loader finds, or a path; letters, digits, '-', '_', '.', '+', at most 128"),
        wrong(
            "library: lib/, function: f, signature: void ()",
            ":2:26: 'library' in lambda 'f' is 'lib/', which is not the name of a library; "
                + "a name as in libz.so.1 that the system's loader finds, or a path; letters, digits, '-', '_', '.', '+', at most 128"),
        wrong(
            "library: ~/libz.so, function: f, signature: void ()",
            ":2:26: 'library' in lambda 'f' begins with '~', which is not expanded; write the whole path"),
        wrong(
            "library: l, function: 3f, signature: void ()",
            ":2:39: 'function' in lambda 'f' is '3f', which is not the name of a function; letters, digits, '_', '$' and '.', not beginning with a digit"
        ),
        wrong(
            "library: l, function: 'f(int)', signature: void ()",
            ":2:39: 'function' in lambda 'f' is 'f(int)', which is not the name of a function; letters, digits, '_', '$' and '.', not beginning with a digit"
        ),
        wrong(
            "library: [l], function: { f: 1 }, signature: [i32]", ":2:26: 'library' in lambda 'f' must be text, not a list",
            ":2:41: 'function' in lambda 'f' must be text, not a mapping", ":2:62: 'signature' in lambda 'f' must be text, not a list"),
        wrong(
            "library: l, function: f, signature: 'u64 (u63)', success: any",
            ":2:53: 'signature' in lambda 'f' has unknown type 'u63' at character 6; did you mean 'u64'?"),
        wrong(
            "library: l, function: f, signature: 'i32 (string, ...)', success: any",
            ":2:53: 'signature' in lambda 'f' has '...', and functions with variable arguments cannot be called, at character 14; "
                + "write a small function or plugin in C that calls it"),
    ]

    /// One parameter, one argument; the argument begins at column 79 when the type has three letters.
    private static func argument(_ type: String, _ text: String, _ problem: String) -> Mistake {
        let keys = "library: l, function: f, signature: 'void (\(type))', arguments: [\(text)]"
        let column = file(keys).split(separator: "\n")[1].firstRange(of: "arguments: [").map { range in
            file(keys).split(separator: "\n")[1].distance(from: file(keys).split(separator: "\n")[1].startIndex, to: range.upperBound) + 1
        }
        return wrong(keys, ":2:\(column ?? 0): argument 1 in lambda 'f'\(problem)")
    }

    static let wrongArguments: [Mistake] = [
        argument("u8", "256", " is 256, but u8 is between 0 and 255"),
        argument("u64", "-1", " is -1, but u64 is between 0 and 18446744073709551615"),
        argument("u64", "18446744073709551616", " is 18446744073709551616, but u64 is between 0 and 18446744073709551615"),
        argument("i64", "9223372036854775808", " is 9223372036854775808, but i64 is between -9223372036854775808 and 9223372036854775807"),
        argument(
            "u64", "999999999999999999999999999999999999999999",
            ": the number '999999999999999999999999999999999999999999' cannot be passed"),
        argument("f64", "9007199254740993", " is 9007199254740993, which f64 cannot hold exactly; write it with a point or an exponent"),
        argument("f32", "1e39", " is 1e+39, which is too large for f32"),
        argument("f64", ".inf", ": the number '.inf' cannot be passed"),
        argument("i32", "1.5", " is the number 1.5, but its parameter is i32"),
        argument("i32", "'5'", " is the text '5', but its parameter is i32; numbers stand without quotes"),
        argument("i32", "true", " is true, but its parameter is i32"),
        argument("i32", "null", " is null, but its parameter is i32"),
        argument("bool", "1", " is the number 1, but its parameter is bool"),
        argument("string", "5", " is the number 5, but its parameter is string; put it in quotes to pass it as text"),
        argument("u32", "payload", " is the text 'payload', but its parameter is u32; did you mean '$payload'?"),
        argument(
            "u32", "$payload",
            " is '$payload', but its parameter is u32; write $payload.size for its size, $payload.integer for the number that it spells"),
        argument("f64", "$payload", " is '$payload', but its parameter is f64; write $payload.float for the number that it spells"),
        argument("string", "$payload.size", " is '$payload.size', but its parameter is string"),
        argument("f64", "$sequence", " is '$sequence', but its parameter is f64"),
        argument("bytes", "$header.a", " is '$header.a', but its parameter is bytes; headers can be passed as string only"),
        argument("bytes", "$output(4)", " is '$output(4)', but its parameter is bytes"),
        argument("buffer", "$payload", " is '$payload', but its parameter is buffer; write $output(SIZE), or null"),
        argument("u64*", "4", " is the number 4, but its parameter is u64*; write $output.length, or null"),
        argument("string", "$paylod", ": unknown expression '$paylod'; did you mean '$payload'?"),
        argument(
            "string", "$config.key",
            ": unknown expression '$config.key'; there are $payload, $payload.size, $payload.integer, $payload.float, "
                + "$subject, $subject.size, $subject.integer, $subject.float, $type, $type.size, $type.integer, $type.float, "
                + "$id, $id.size, $id.integer, $id.float, $input, $input.size, $input.integer, $input.float, "
                + "$sequence, $offset, $time, $attempt, $output.size, $output.length, $header.NAME and $output(SIZE); $$ is a dollar sign"),
        argument("string", "$header.", ": '$header.' names no header; write it as in $header.tenant"),
        argument("buffer", "$output", ": '$output' gives no size; write it as in $output(4096)"),
        argument("buffer", "$output(many)", ": '$output(many)' gives no size; write it as in $output(4096) or $output(64KiB)"),
        argument("buffer", "$output(0)", ": '$output(0)' has 0 bytes, but must have between 1 and 1048576"),
        argument("buffer", "$output(2MiB)", ": '$output(2MiB)' has 2097152 bytes, but must have between 1 and 1048576"),
        argument("string", "\"a\\0b\"", ": the text holds a zero byte, at which C would end it"),
        argument("string", "[a]", " must be a number, text or an expression, not a list"),
        argument(
            "bytes", "$input", " is '$input', but there is no 'after'; '$input' is the output of the one lambda that this one comes 'after'"
        ),
        wrong(
            "library: l, function: f, signature: 'void (u8, u8)', arguments: [1]",
            ":2:81: lambda 'f' has 1 argument, but its signature 'void (u8, u8)' has 2 parameters"),
        wrong(
            "library: l, function: f, signature: 'void (u8)'",
            ":2:53: lambda 'f' has 0 arguments, but its signature 'void (u8)' has 1 parameter"),
        wrong(
            "library: l, function: f, signature: 'void ()', arguments: [1, 2]",
            ":2:75: lambda 'f' has 2 arguments, but its signature 'void ()' has 0 parameters"),
        wrong("library: l, function: f, signature: 'void ()', arguments: 1", ":2:75: 'arguments' in lambda 'f' must be a list, not '1'"),
    ]

    static let wrongBuffers: [Mistake] = [
        wrong(
            "library: l, function: f, signature: 'void (size)', arguments: [$output.size]",
            ":2:80: argument 1 in lambda 'f' is '$output.size', but no argument is '$output(SIZE)'"),
        wrong(
            "library: l, function: f, signature: 'void (u64*)', arguments: [$output.length]",
            ":2:80: argument 1 in lambda 'f' is '$output.length', but no argument is '$output(SIZE)'"),
        wrong(
            "library: l, function: f, signature: 'void (buffer, buffer)', arguments: [$output(1), $output(2)]",
            ":2:102: argument 2 in lambda 'f' is a second '$output'; a function can have one output buffer"),
        wrong(
            "library: l, function: f, signature: 'void (buffer, u64*, u64*)', arguments: [$output(1), $output.length, $output.length]",
            ":2:122: argument 3 in lambda 'f' is a second '$output.length'"),
    ]

    private static func result(_ type: String, _ keys: String, _ column: Int, _ problem: String) -> Mistake {
        wrong("\(keys), library: l, function: f, signature: '\(type) ()'", ":2:\(column): \(problem)")
    }

    static let wrongResults: [Mistake] = [
        result(
            "u64", "success: non-negative", 26,
            "'success' in lambda 'f' is non-negative, which says nothing about a result of type u64; an unsigned number is never negative"),
        result("void", "success: zero", 26, "'success' in lambda 'f' is zero, which says nothing about a result of type void"),
        result("f64", "success: zero", 26, "'success' in lambda 'f' is zero, which says nothing about a result of type f64"),
        result("string", "success: zero", 26, "'success' in lambda 'f' is zero, which says nothing about a result of type string"),
        result("f64", "success: non-null", 26, "'success' in lambda 'f' is non-null, which says nothing about a result of type f64"),
        result(
            "bool", "success: non-negative", 26, "'success' in lambda 'f' is non-negative, which says nothing about a result of type bool"),
        result("i32", "success: positive", 26, "'success' in lambda 'f' must be one of zero, non-negative, non-null, any, not 'positive'"),
        result(
            "i32", "success: nonnegative", 26,
            "'success' in lambda 'f' must be one of zero, non-negative, non-null, any, not 'nonnegative'; did you mean 'non-negative'?"),
        result("void", "output: result", 25, "'output' in lambda 'f' is result, but a result of type void has no text"),
        result("pointer", "success: any, output: result", 39, "'output' in lambda 'f' is result, but a result of type pointer has no text"),
        result(
            "void", "output: all", 25,
            "'output' in lambda 'f' must be one of none, result, buffer, buffer(result), buffer(string), not 'all'"),
        result("void", "output: buffer", 25, "'output' in lambda 'f' is buffer, but no argument is '$output(SIZE)'"),
        wrong(
            "output: buffer(result), library: l, function: f, signature: 'void (buffer)', arguments: [$output(1)]",
            ":2:25: 'output' in lambda 'f' is buffer(result), but a result of type void is no length"),
        wrong(
            "output: buffer(string), library: l, function: f, signature: 'void (buffer, u64*)', arguments: [$output(1), $output.length]",
            ":2:25: 'output' in lambda 'f' is buffer(string), but '$output.length' says how long it is; write output: buffer"),
    ]
}
