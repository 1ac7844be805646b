/// Rows of text in aligned columns.
struct TextTable {
    struct Column {
        var title: String
        var isNumeric = false
        /// Whether it may be cut when a line is wider than the terminal. The last one that may is cut first.
        var canShrink = false
        /// Whether it may be left out when a line is wider than the terminal and every cell of it is `0` or `-`.
        var canGo = false

        static func text(_ title: String, canShrink: Bool = false, canGo: Bool = false) -> Column {
            Column(title: title, canShrink: canShrink, canGo: canGo)
        }
        static func number(_ title: String, canGo: Bool = false) -> Column { Column(title: title, isNumeric: true, canGo: canGo) }
    }

    struct Cell: ExpressibleByStringLiteral {
        var text: String
        var style: Terminal.Style?

        init(_ text: some StringProtocol, _ style: Terminal.Style? = nil) {
            self.text = Terminal.printable(text)
            self.style = style
        }

        init(stringLiteral value: String) { self.init(value) }

        static func number(_ value: some BinaryInteger, _ style: Terminal.Style? = nil) -> Cell { Cell(Figures.grouped(value), style) }
    }

    var columns: [Column]
    private(set) var rows: [[Cell]] = []

    init(_ columns: [Column]) { self.columns = columns }

    mutating func add(_ row: [Cell]) {
        precondition(row.count == columns.count)
        rows.append(row)
    }

    /// The table with its titles, each line ended.
    func text(_ terminal: Terminal) -> String {
        var widths = columns.map { Terminal.columns($0.title) }
        for row in rows { for (index, cell) in row.enumerated() { widths[index] = max(widths[index], Terminal.columns(cell.text)) } }
        if let width = terminal.width {
            var excess = widths.reduce(0, +) + 2 * (columns.count - 1) - width
            if excess > 0, let index = columns.indices.last(where: { isIdle($0) }) { return without(index).text(terminal) }
            for index in columns.indices.reversed() where columns[index].canShrink && excess > 0 {
                let take = min(excess, max(0, widths[index] - 8))
                widths[index] -= take
                excess -= take
            }
        }
        var result = line(columns.map { Cell($0.title.uppercased(), .dim) }, widths, terminal)
        for row in rows { result += line(row, widths, terminal) }
        return result
    }

    private func isIdle(_ index: Int) -> Bool {
        columns[index].canGo && rows.allSatisfy { $0[index].text == "0" || $0[index].text == "-" }
    }

    private func without(_ index: Int) -> TextTable {
        var table = self
        table.columns.remove(at: index)
        table.rows = rows.map { row in Array(row[..<index] + row[(index + 1)...]) }
        return table
    }

    private func line(_ cells: [Cell], _ widths: [Int], _ terminal: Terminal) -> String {
        var result = ""
        for (index, cell) in cells.enumerated() {
            let text = Terminal.cut(cell.text, to: widths[index])
            let padding = String(repeating: " ", count: max(0, widths[index] - Terminal.columns(text)))
            let isLast = index == cells.count - 1
            if index > 0 { result += "  " }
            if columns[index].isNumeric {
                result += padding + terminal.styled(text, cell.style)
            } else {
                result += terminal.styled(text, cell.style) + (isLast ? "" : padding)
            }
        }
        while result.last == " " { result.removeLast() }
        return result + "\n"
    }
}
