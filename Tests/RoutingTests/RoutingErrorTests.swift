import Foundation
import Routing
import Testing

/// A mistake and what is said about it.
struct Mistake: Sendable, CustomTestStringConvertible {
    var text: String
    var problems: [String]

    init(_ text: String, _ problems: String...) {
        self.text = text
        self.problems = problems.map { "capelet.yaml" + $0 }
    }

    var testDescription: String { problems.first ?? "" }
}

@Suite("Mistakes in routing files")
struct RoutingErrorTests {
    @Test("Each is named with line and column", arguments: keys + types + ranges + names + topologies + folders + yaml)
    func mistake(_ mistake: Mistake) {
        #expect(problems(mistake.text) == mistake.problems)
    }

    static let least = "domains: { d: { lambdas: [a] } }\n"

    static let keys: [Mistake] = [
        Mistake(
            "domains:\n  orders:\n    lambdas: [charge]\nlambdas:\n  charge:\n    retrys: { attempts: 3 }\n",
            ":6:5: unknown key 'retrys' in lambda 'charge'; did you mean 'retry'?"),
        Mistake("domain: {}\n", ":1:1: unknown key 'domain' at the top level; did you mean 'domains'?"),
        Mistake(
            least + "lambdas: { a: { attempts: 3, retry: { atempts: 3 } } }",
            ":2:17: unknown key 'attempts' in lambda 'a'; 'attempts' belongs under 'retry' of a lambda",
            ":2:39: unknown key 'atempts' in 'retry' of lambda 'a'; did you mean 'attempts'?"),
        Mistake(
            least + "listen: { https: 1, zzz: 2 }",
            ":2:11: unknown key 'https' in 'listen'; did you mean 'http'?",
            ":2:21: unknown key 'zzz' in 'listen'; keys here: http, resp, hosts"),
        Mistake(
            "domains:\n  d:\n    lambdas: [a]\n    workers: 2\n",
            ":4:5: unknown key 'workers' in domain 'd'; 'workers' belongs to a lambda, under 'lambdas' at the top level"),
        Mistake(
            least + "lambdas:\n  a:\n    workers: 2\n    timeout: 3s\n    workers: 3\n    workers: 4\n    timeout: 1s\n",
            ":6:5: duplicate key 'workers'; it is already at line 4, column 5",
            ":7:5: duplicate key 'workers'; it is already at line 4, column 5",
            ":8:5: duplicate key 'timeout'; it is already at line 5, column 5"),
        Mistake(
            "domains: { d: { lambdas: [a] }, 'd': { lambdas: [b] } }\ndomains: {}\n",
            ":1:33: duplicate key 'd'; it is already at line 1, column 12",
            ":2:1: duplicate key 'domains'; it is already at line 1, column 1"),
        Mistake(
            "domains: { d: { source: { refresh: 1s }, lambdas: a } }",
            ":1:25: 'source' of domain 'd' lacks the key 'directory'; write source: { directory: PATH }"),
    ]

    static let types: [Mistake] = [
        Mistake("[a, b]", ":1:1: a routing file must be a mapping of keys and values, not a list; begin with 'domains:'"),
        Mistake(
            "domains: { d: { lambdas: { a: { workers: 2 } } } }",
            ":1:26: 'lambdas' in domain 'd' must be a list of names, not a mapping; "
                + "write lambdas: [a] here and the settings under 'lambdas' at the top level"),
        Mistake("domains: [d]", ":1:10: 'domains' must be a mapping of names and domains, not a list"),
        Mistake(
            least + "lambdas:\n  a:\n    workers: many\n    enabled: yes\n    timeout: 30\n    grace: 5 minutes\n"
                + "    memory: lots\n    exhausted: parked\n",
            ":4:14: 'workers' in lambda 'a' must be a whole number, not 'many'",
            ":5:14: 'enabled' in lambda 'a' must be true or false, not 'yes'",
            ":6:14: 'timeout' in lambda 'a' needs a unit; write for example 200ms, 30s, 5m, 1h or 2d",
            ":7:12: 'grace' in lambda 'a' must be a duration, not '5 minutes'; write for example 200ms, 30s, 5m, 1h or 2d",
            ":8:13: 'memory' in lambda 'a' must be a size, not 'lots'; write bytes or, for example, 64KiB, 256MiB, 1GiB",
            ":9:16: 'exhausted' in lambda 'a' must be one of dead-letter, park, not 'parked'; did you mean 'park'?"),
        Mistake(
            least + "lambdas: { a: { workers: \"2\", retry: [1], config: x, filter: {type: {}}, environment: {A: {file: x}} } }",
            ":2:26: 'workers' in lambda 'a' must be a whole number, not the text '2'",
            ":2:38: 'retry' of lambda 'a' must be a mapping of keys and values, not a list; keys: attempts, backoff, crashes",
            ":2:51: 'config' in lambda 'a' must be a mapping of keys and values, not 'x'",
            ":2:69: 'type' in 'filter' of lambda 'a' must be text, not a mapping",
            ":2:91: variable 'A' in 'environment' in lambda 'a' must be text, not a mapping; files with secrets can be named under 'config' only"
        ),
        Mistake(
            least + "lambdas: { a: { plugin: , from: -1, config: { n: 99999999999999999999, i: .inf } } }",
            ":2:25: 'plugin' in lambda 'a' must be text, not nothing",
            ":2:33: 'from' in lambda 'a' must be now, beginning or an offset, not '-1'",
            ":2:50: the number '99999999999999999999' in 'config' in lambda 'a' has no form in JSON; put it in quotes to pass it as text",
            ":2:75: the number '.inf' in 'config' in lambda 'a' has no form in JSON; put it in quotes to pass it as text"),
    ]

    static let ranges: [Mistake] = [
        Mistake(
            least + "lambdas:\n  a:\n    workers: 0\n    memory: 4MiB\n    retry: { attempts: 0, backoff: 30s..200ms, crashes: 0 }\n",
            ":4:14: 'workers' in lambda 'a' is 0, but must be between 1 and 1024",
            ":5:13: 'memory' in lambda 'a' is 4MiB, but must be between 8MiB and 64TiB",
            ":6:24: 'attempts' in 'retry' of lambda 'a' is 0, but must be between 1 and 1000000",
            ":6:36: 'backoff' in 'retry' of lambda 'a' is 30s..200ms, but its least is longer than its most; write the shorter one first",
            ":6:57: 'crashes' in 'retry' of lambda 'a' is 0, but must be between 1 and 1000000"),
        Mistake(
            least + "lambdas: { a: { workers: 1025, timeout: 2m, timeout-max: 1m, cpu: 10ms } }",
            ":2:26: 'workers' in lambda 'a' is 1025, but must be between 1 and 1024",
            ":2:41: 'timeout' in lambda 'a' is 2m, longer than 'timeout-max', which is 1m",
            ":2:67: 'cpu' in lambda 'a' is 10ms, but must be between 100ms and 1d"),
        Mistake(
            least + "lambdas: { a: { memory: 64MiB, recycle: { memory: 100%, events: 0, age: 10ms } } }",
            ":2:51: 'memory' in 'recycle' of lambda 'a' is '100%', but must be between 1% and 99%",
            ":2:65: 'events' in 'recycle' of lambda 'a' is 0, but must be between 1 and 1000000000",
            ":2:73: 'age' in 'recycle' of lambda 'a' is 10ms, but must be between 1s and 3650d"),
        Mistake(
            least + "lambdas: { a: { memory: 64MiB, recycle: { memory: 64MiB } }, b: { timeout: none, timeout-max: 1m } }",
            ":2:51: 'memory' in 'recycle' of lambda 'a' is 64MiB, but workers cannot have more than 'memory', which is 64MiB; choose less, or a share as in 80%",
            ":2:82: 'timeout-max' in lambda 'b' has no meaning where 'timeout' is none; leave it out"),
        Mistake(
            "domains: { d: { lambdas: a, payload: 17MiB, retention: 11000d, deduplicate: {count: -1} } }",
            ":1:38: 'payload' in domain 'd' is 17MiB, but must be between 1 and 16MiB",
            ":1:56: 'retention' in domain 'd' is 11000d, but must be between 0 and 3650d",
            ":1:85: 'count' in 'deduplicate' of domain 'd' is -1, but must be between 0 and 100000000"),
        Mistake(
            least + "limits: { subject: 1MiB, drain: 99999999999999999999s }",
            ":2:20: 'subject' in 'limits' is 1MiB, but must be between 1 and 65535",
            ":2:33: 'drain' in 'limits' must be a duration, not '99999999999999999999s'; write for example 200ms, 30s, 5m, 1h or 2d"),
        Mistake(
            least + "lambdas: { a: { filter: { type: x, not-type: [x, y], subject-prefix: '', subject-suffix: [] } } }",
            ":2:46: 'filter' of lambda 'a' lets no event through: every 'type' is also a 'not-type'",
            ":2:70: 'subject-prefix' in 'filter' of lambda 'a' is empty, so that every subject matches; leave it out",
            ":2:90: 'subject-suffix' in 'filter' of lambda 'a' is an empty list; name at least one, or leave the key out"),
    ]

    static let rule = "a name is letters, digits, '-', '_' and '.', at most 64 bytes, and does not begin with '.' or '-'"

    static let names: [Mistake] = [
        Mistake(
            "domains: { .d: { lambdas: [-a, 'b c', \(String(repeating: "x", count: 65))] } }\nlambdas: { é: {}, ok: { plugin: ../evil } }",
            ":1:12: '.d' is not a valid name for a domain; \(rule)",
            ":2:12: 'é' is not a valid name for a lambda; \(rule)",
            ":2:33: 'plugin' in lambda 'ok' is '../evil', which is not a valid name; \(rule)"),
        Mistake(
            "domains: { d: { lambdas: [-a, 'b c', \(String(repeating: "x", count: 65)), a, b, a] } }",
            ":1:27: '-a' is not a valid name for a lambda; \(rule)",
            ":1:31: 'b c' is not a valid name for a lambda; \(rule)",
            ":1:38: '\(String(repeating: "x", count: 60))...' is not a valid name for a lambda; \(rule)",
            ":1:111: lambda 'a' is listed twice in domain 'd'; it is already at line 1, column 105"),
        Mistake(
            least + "listen:\n  http: 0.0.0.0:80\n  resp: localhost\n",
            ":3:9: 'http' in 'listen' is '0.0.0.0:80', which other machines can reach; "
                + "that needs tokens: at the top level write tokens: { admin: { file: PATH }, producers: { file: PATH } }; "
                + "or listen on 127.0.0.1, [::1] or localhost",
            ":4:9: 'resp' in 'listen' is 'localhost', which is not an address; "
                + "write an IP address (of IPv6 in brackets), * or localhost, a colon and a port, as in 127.0.0.1:7070, or none"),
        Mistake(
            least + "listen: { http: 127.0.0.1:7070, resp: 127.0.0.1:7070 }",
            ":2:39: 'http' and 'resp' in 'listen' are both 127.0.0.1:7070; give one of them another port"),
        Mistake(
            least + "listen: { http: 127.0.0.1:70000, resp: '[::]:1' }",
            ":2:17: 'http' in 'listen' is '127.0.0.1:70000', which is not an address; "
                + "write an IP address (of IPv6 in brackets), * or localhost, a colon and a port, as in 127.0.0.1:7070, or none",
            ":2:40: 'resp' in 'listen' is '[::]:1', which other machines can reach; "
                + "Redis clients bring no tokens; use 127.0.0.1, [::1] or localhost"),
    ]

    static let topologies: [Mistake] = [
        Mistake(
            "domains: { d: { lambdas: [extract, index] } }\nlambdas: { index: { after: extrct } }",
            ":2:28: unknown lambda 'extrct' in 'after' of lambda 'index'; did you mean 'extract'?"),
        Mistake(
            "domains: { d: { lambdas: [a, b] }, e: { lambdas: [b] } }\nlambdas: { b: { after: [a] } }",
            ":2:25: lambda 'b' comes after 'a', which is not in domain 'e'; add 'a' to the lambdas of 'e'"),
        Mistake(
            "domains: { d: { lambdas: [a, b, c, s] } }\nlambdas:\n  a: { after: b }\n  b: { after: c }\n  c: { after: [a] }\n  s: { after: s }\n",
            ":5:16: these lambdas wait for each other: 'a' after 'b' after 'c' after 'a'; remove one 'after' of the cycle",
            ":6:15: lambda 's' comes after itself; remove this 'after'"),
        Mistake(
            "domains: { d: { lambdas: [a, b] } }\nlambdas: { b: { after: [a, a] } }",
            ":2:28: lambda 'a' is named twice in 'after' in lambda 'b'; keep one of them"),
    ]

    static let folders: [Mistake] = [
        Mistake(
            "domains:\n  a: { lambdas: l, source: { directory: in } }\n  b: { lambdas: l, source: { directory: ./in/ } }\n"
                + "  c: { lambdas: l, source: { directory: in/deep } }\n",
            ":3:41: domain 'b' watches '/srv/capelet/in', which domain 'a' watches already; list the lambdas of both under 'a'",
            ":4:41: domain 'c' watches '/srv/capelet/in/deep', which lies in '/srv/capelet/in' of domain 'a'",
            ":4:41: domain 'c' watches '/srv/capelet/in/deep', which lies in '/srv/capelet/in' of domain 'b'"),
        Mistake(
            "domains:\n  a: { lambdas: l, source: { directory: in/deep } }\n  b: { lambdas: l, source: { directory: in } }\n",
            ":3:41: domain 'b' watches '/srv/capelet/in', which holds '/srv/capelet/in/deep' of domain 'a'"),
        Mistake(
            "domains:\n  a: { lambdas: l, source: { directory: . } }\n  b: { lambdas: l, source: { directory: ~/x } }\n",
            ":2:41: domain 'a' watches '/srv/capelet', which holds the data directory '/srv/capelet/data': its journal would come in as events",
            ":3:41: 'directory' in 'source' of domain 'b' begins with '~', which is not expanded; write the whole path"),
        Mistake(
            least + "lambdas: { a: { config: { k: { file: /nonexistent/key } } } }",
            ":2:38: 'file' in 'config' in lambda 'a': cannot read '/nonexistent/key': No such file or directory"),
    ]

    static let yaml: [Mistake] = [
        Mistake("", ": the file is empty; the least that is needed is: domains: { NAME: { lambdas: [NAME] } }"),
        Mistake("# nothing\n---\n", ": the file is empty; the least that is needed is: domains: { NAME: { lambdas: [NAME] } }"),
        Mistake(
            "domains: { d: [a }\n",
            ":1:18: not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence)"),
        Mistake(
            "domains:\n  d: { lambdas: [a,\n",
            ":3:1: not valid YAML: did not find expected node content (while parsing a flow node)"),
        Mistake(
            "domains: {\n  d: [a\n  e: [b]\n}\n",
            ":3:4: not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins at line 2)"),
        Mistake(
            "domains:\n\td: {}\n",
            ":2:1: not valid YAML: found character that cannot start any token (while scanning for the next token); "
                + "indent with spaces, not tabs"),
        Mistake("domains: {}\n---\nx: 1\n", ":2:1: a second YAML document begins here; a routing file is one document"),
        Mistake("domains: {}\nda\u{0}ta: x\n", ":2:3: the character U+0000 is not allowed in YAML; remove it"),
        Mistake("domains: *d\n", ":1:10: there is no anchor '&d' before this alias; put text that begins with '*' in quotes"),
        Mistake(
            "domains: { d: { lambdas: *.txt } }\n",
            ":1:26: not valid YAML: '*' begins an alias; put text that begins with '*' in quotes"),
        Mistake(
            "domains: &d { <<: *d }\n",
            ":1:15: merging with '<<' is not supported; write the keys out",
            ":1:19: there is no anchor '&d' before this alias; put text that begins with '*' in quotes"),
        Mistake("data: !path x\n", ":1:7: the tag '!path' is not supported; remove it"),
        Mistake("? [a]\n: b\n", ":1:3: a key must be plain text"),
    ]

    @Test("Many problems are cut to 50, in the order of the file")
    func manyProblems() throws {
        var text = RoutingErrorTests.least + "lambdas:\n  a:\n"
        for number in 0..<70 { text += "    zzzzzz\(number): 1\n" }
        let error = try #require(throws: RoutingError.self) { try table(text) }
        #expect(error.problems.count == 50)
        #expect(error.problems.map(\.line) == Array(4..<54))
        #expect(error.omitted == 20)
        #expect(error.description.hasSuffix("\nand 20 more"))
    }

    @Test("Files that cannot be read")
    func files() throws {
        let folder = try TemporaryFolder()
        let load = { (name: String) in
            do throws(RoutingError) {
                _ = try RoutingFile.load(path: folder.path + "/" + name)
                return ""
            } catch {
                return error.description.replacingOccurrences(of: folder.path + "/", with: "")
            }
        }
        #expect(load("none") == "none: cannot read it: No such file or directory")
        try folder.makeFolder("folder")
        #expect(load("folder") == "folder: cannot read it: it is a folder")
        try folder.write("latin", Array("# x\n# caf".utf8) + [0xe9, 0x0a])
        #expect(load("latin") == "latin:2:6: not UTF-8: the byte 0xe9 begins no character; save the file as UTF-8")
        try folder.write("big", Array(repeating: UInt8(ascii: "#"), count: (1 << 20) + 1))
        #expect(load("big") == "big: cannot read it: it is larger than 1MiB")
        try folder.write("fits", Array("domains: { d: { lambdas: [a] } }\n#".utf8) + Array(repeating: UInt8(ascii: "#"), count: 1 << 19))
        #expect(load("fits") == "")
    }

    @Test("A folder watched under two names is found")
    func links() throws {
        let folder = try TemporaryFolder()
        try folder.makeFolder("real")
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/link", withDestinationPath: "real")
        let text = "domains:\n  a: { lambdas: l, source: { directory: real } }\n  b: { lambdas: l, source: { directory: link/new } }\n"
        let path = try folder.write("capelet.yaml", text.utf8)
        let error = try #require(throws: RoutingError.self) { try RoutingFile.load(path: path) }
        let expected = "domain 'b' watches '\(folder.path)/link/new', which lies in '\(folder.path)/real' of domain 'a'"
        #expect(error.problems.map(\.message) == [expected])
    }
}
