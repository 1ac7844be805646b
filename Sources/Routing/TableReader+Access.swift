// Where the host listens, and who may come in.

extension TableReader {
    /// A file of tokens as it was read, with its place for later messages.
    struct TokenDraft {
        /// Absolute.
        var path: String
        /// Where it stands.
        var at: Position
        /// How messages name it.
        var name: String
        /// What is in it; empty when it could not be read, which the log then says.
        var tokens: [Token]
    }

    // MARK: listen

    /// The addresses. Whether they may be reached from elsewhere is looked at by `checkAccess`.
    func listenSettings(_ top: Section) -> ListenSettings {
        var settings = ListenSettings()
        guard let section = top.section("listen", keys: RoutingKeys.listen) else { return settings }
        let http = address("http", in: section, default: settings.http)
        let resp = address("resp", in: section, default: settings.resp)
        if let http, http == resp, !http.hasSuffix(":0"), let at = section.value("resp")?.position {
            log.add(at, "'http' and 'resp' in 'listen' are both \(http)", hint: "give one of them another port")
        }
        if let resp, let at = section.value("resp")?.position {
            log.warn(at, "'resp' in 'listen' has no effect: this version does not serve Redis clients")
            if (try? ListenAddress(resp))?.isLoopback == false {
                let message = "\(section.name("resp")) is \(quoted(resp)), which other machines can reach"
                log.add(at, message, hint: "Redis clients bring no tokens; use 127.0.0.1, [::1] or localhost")
            }
        }
        settings.http = http
        settings.resp = resp
        settings.hosts = hosts(section)
        return settings
    }

    private func address(_ key: String, in section: Section, default address: String?) -> String? {
        guard let value = section.value(key) else { return address }
        if value.isNull { return nil }
        guard let text = section.text(key), text != "none" else { return nil }
        do throws(ListenAddress.Malformed) {
            _ = try ListenAddress(text)
        } catch {
            let hint = "write an IP address (of IPv6 in brackets), * or localhost, a colon and a port, as in 127.0.0.1:7070, or none"
            log.add(value.position, "\(section.name(key)) is \(quoted(text)), which is not an address", hint: hint)
        }
        return text
    }

    private func hosts(_ section: Section) -> [String] {
        guard let value = section.value("hosts"), !value.isNull, !value.isEmptyList else { return [] }
        let names = section.texts("hosts") ?? []
        if names.count > RoutingLimits.hostNamesMax {
            log.add(value.position, "\(section.name("hosts")) has more than \(RoutingLimits.hostNamesMax) names")
        }
        for (name, at) in names where !Self.isHostName(name) {
            log.add(
                at, "\(quoted(name)) in \(section.name("hosts")) is not a host's name",
                hint: "write it without a port, as in events.example.org")
        }
        return names.map { $0.text.lowercased() }
    }

    /// Labels of letters, digits and hyphens with dots between them.
    private static func isHostName(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        return text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
                && label.allSatisfy {
                    switch $0 {
                    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"): true
                    default: false
                    }
                }
        }
    }

    // MARK: tokens

    /// The files that hold for the whole host.
    func tokenDrafts(_ top: Section) -> (admin: TokenDraft?, producers: TokenDraft?) {
        guard let value = top.value("tokens"), !value.isNull else { return (nil, nil) }
        guard case .mapping = value.content else {
            // What stands here may be a token: it is not repeated.
            log.add(value.position, "'tokens' at the top level must be a mapping", hint: "write tokens: { admin: { file: PATH } }")
            return (nil, nil)
        }
        guard let section = top.section("tokens", keys: RoutingKeys.tokens) else { return (nil, nil) }
        return (tokenDraft("admin", in: section), tokenDraft("producers", in: section))
    }

    /// The file of tokens that a key holds as `{ file: PATH }`; nil: `none`, or nothing.
    func tokenDraft(_ key: String, in section: Section) -> TokenDraft? {
        guard let value = section.value(key), !value.isNull else { return nil }
        if case .scalar(let text, plain: _) = value.content {
            if text == "none" { return nil }
            // What stands here may be a token: it is not repeated.
            log.add(
                value.position, "\(section.name(key)) must be a file",
                hint: "write \(key): { file: PATH }; tokens do not stand in this file")
            return nil
        }
        guard let inner = section.section(key, keys: ["file"]) else { return nil }
        guard let at = inner.value("file")?.position else {
            log.add(value.position, "\(inner.place) lacks the key 'file'", hint: "write \(key): { file: PATH }")
            return nil
        }
        guard let path = path("file", in: inner) else { return nil }
        var draft = TokenDraft(path: path, at: at, name: inner.name("file"), tokens: [])
        do throws(TokenFileError) {
            draft.tokens = try TokenFile.read(path)
        } catch {
            log.add(at, "\(draft.name): \(error)")
        }
        return draft
    }

    /// Without tokens only this machine may reach the listener; and a token is for one use.
    func checkAccess(_ top: Section, listen: ListenSettings, admin: TokenDraft?, producers: [TokenDraft?]) {
        let producers = producers.compactMap { $0 }
        if admin == nil, producers.isEmpty, let http = listen.http, (try? ListenAddress(http))?.isLoopback == false {
            var at: Position?
            if case .mapping(let entries)? = top.value("listen")?.content { at = entries.first { $0.key == "http" }?.value.position }
            let hint =
                "that needs tokens: at the top level write tokens: { admin: { file: PATH }, producers: { file: PATH } }; "
                + "or listen on 127.0.0.1, [::1] or localhost"
            log.add(at, "'http' in 'listen' is \(quoted(http)), which other machines can reach", hint: hint)
        }
        guard let admin else { return }
        for draft in producers where !Set(draft.tokens).isDisjoint(with: admin.tokens) {
            let message = "\(draft.name) has a token that is in \(quoted(admin.path)) too, which is for the administration"
            log.add(draft.at, message, hint: "give each use tokens of its own")
        }
    }
}
