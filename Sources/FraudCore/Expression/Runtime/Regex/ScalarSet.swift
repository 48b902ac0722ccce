/// A set of code points as sorted ranges that neither overlap nor touch.
struct ScalarSet: Sendable, Hashable {
  private(set) var ranges: [ClosedRange<UInt32>] = []

  static let all = ScalarSet(ranges: [0...0x10_FFFF])
  static let digits = ScalarSet(0x30...0x39)
  static let wordCharacters = ScalarSet(0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A)
  static let whiteSpace = ScalarSet(0x09...0x0D, 0x20...0x20)
  static let horizontalSpace = ScalarSet(
    0x09...0x09, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x180E...0x180E, 0x2000...0x200A, 0x202F...0x202F,
    0x205F...0x205F, 0x3000...0x3000)
  static let verticalSpace = ScalarSet(0x0A...0x0D, 0x85...0x85, 0x2028...0x2029)
  static let lineTerminators = ScalarSet(0x0A...0x0A, 0x0D...0x0D, 0x85...0x85, 0x2028...0x2029)

  init() {}

  private init(ranges: [ClosedRange<UInt32>]) {
    self.ranges = ranges
  }

  init(_ ranges: ClosedRange<UInt32>...) {
    self.ranges = ranges
  }

  /// The union of ranges in any order.
  init(joining unsorted: [ClosedRange<UInt32>]) {
    for range in unsorted.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = ranges.last, range.lowerBound <= last.upperBound &+ 1 {
        ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        ranges.append(range)
      }
    }
  }

  func union(_ other: ScalarSet) -> ScalarSet {
    ScalarSet(joining: ranges + other.ranges)
  }

  var inverted: ScalarSet {
    var result = ScalarSet()
    var next: UInt32 = 0
    for range in ranges {
      if range.lowerBound > next { result.ranges.append(next...(range.lowerBound - 1)) }
      next = range.upperBound + 1
    }
    if next <= 0x10_FFFF { result.ranges.append(next...0x10_FFFF) }
    return result
  }

  func intersection(_ other: ScalarSet) -> ScalarSet {
    inverted.union(other.inverted).inverted
  }

  func contains(_ scalar: UInt32) -> Bool {
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < scalar { low = middle + 1 } else { high = middle }
    }
    return low < ranges.count && ranges[low].lowerBound <= scalar
  }

  /// With the other case of every ASCII letter in it.
  var ignoringASCIICase: ScalarSet {
    let upper = intersection(ScalarSet(0x41...0x5A)).ranges.map { ($0.lowerBound + 32)...($0.upperBound + 32) }
    let lower = intersection(ScalarSet(0x61...0x7A)).ranges.map { ($0.lowerBound - 32)...($0.upperBound - 32) }
    return upper.isEmpty && lower.isEmpty ? self : ScalarSet(joining: ranges + upper + lower)
  }

  /// The code points of each general category and each binary property that patterns can name, by its name.
  ///
  /// One pass over all code points, some tens of milliseconds, when the first pattern asks for one.
  private static let tables: [String: ScalarSet] = {
    var open: [String: ClosedRange<UInt32>] = [:]
    var ranges: [String: [ClosedRange<UInt32>]] = [:]
    for value in UInt32(0)...0x10_FFFF {
      // Surrogates are no scalars and occur in no text.
      guard let properties = Unicode.Scalar(value)?.properties else { continue }
      var names = [categoryName(properties.generalCategory)]
      if properties.isAlphabetic { names.append("ALPHABETIC") }
      if properties.isIdeographic { names.append("IDEOGRAPHIC") }
      if properties.isLowercase { names.append("LOWERCASE") }
      if properties.isUppercase { names.append("UPPERCASE") }
      if properties.isWhitespace { names.append("WHITESPACE") }
      if properties.isHexDigit { names.append("HEXDIGIT") }
      if properties.isJoinControl { names.append("JOINCONTROL") }
      if properties.isNoncharacterCodePoint { names.append("NONCHARACTERCODEPOINT") }
      for name in names {
        if let range = open[name], range.upperBound + 1 == value {
          open[name] = range.lowerBound...value
        } else {
          if let range = open[name] { ranges[name, default: []].append(range) }
          open[name] = value...value
        }
      }
    }
    for (name, range) in open { ranges[name, default: []].append(range) }
    return ranges.mapValues { ScalarSet(joining: $0) }
  }()

  /// The set that `\p{name}` means, or `nil` where the name is not one that is known here.
  ///
  /// POSIX classes are ASCII; general categories, `IsAlphabetic` and the like are Unicode's. Scripts and blocks are not
  /// known: the standard library has no tables of them.
  init?(property name: String) {
    switch name {
    case "Lower": self.init(0x61...0x7A)
    case "Upper": self.init(0x41...0x5A)
    case "ASCII": self.init(0x00...0x7F)
    case "Alpha": self.init(0x41...0x5A, 0x61...0x7A)
    case "Digit": self = .digits
    case "Alnum": self.init(0x30...0x39, 0x41...0x5A, 0x61...0x7A)
    case "Punct": self.init(0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E)
    case "Graph": self.init(0x21...0x7E)
    case "Print": self.init(0x20...0x7E)
    case "Blank": self.init(0x09...0x09, 0x20...0x20)
    case "Cntrl": self.init(0x00...0x1F, 0x7F...0x7F)
    case "XDigit": self.init(0x30...0x39, 0x41...0x46, 0x61...0x66)
    case "Space": self = .whiteSpace
    case "L1": self.init(0x00...0xFF)
    case "all", "ALL": self = .all
    case "javaLowerCase": self = Self.table("LOWERCASE")
    case "javaUpperCase": self = Self.table("UPPERCASE")
    case "javaAlphabetic": self = Self.table("ALPHABETIC")
    case "javaDigit": self = Self.table("Nd")
    case "javaLetter": self.init(categories: "L")
    case "javaLetterOrDigit": self = Self.joined(["Lu", "Ll", "Lt", "Lm", "Lo", "Nd"])
    default:
      var category = name
      for prefix in ["general_category=", "gc="] where name.lowercased().hasPrefix(prefix) {
        category = String(name.dropFirst(prefix.count))
      }
      if name.hasPrefix("Is") {
        let rest = String(name.dropFirst(2))
        if let binary = Self.binaryProperty(rest) {
          self = binary
          return
        }
        category = rest
      }
      self.init(categories: category)
    }
  }

  private static func table(_ name: String) -> ScalarSet {
    tables[name] ?? ScalarSet()
  }

  private static func joined(_ categories: [String]) -> ScalarSet {
    ScalarSet(joining: categories.flatMap { table($0).ranges })
  }

  private static func binaryProperty(_ name: String) -> ScalarSet? {
    let plain = name.uppercased().filter { $0 != "_" }
    return switch plain {
    case "ALPHABETIC", "IDEOGRAPHIC", "LOWERCASE", "UPPERCASE", "WHITESPACE", "HEXDIGIT", "JOINCONTROL",
      "NONCHARACTERCODEPOINT":
      table(plain)
    case "LETTER": ScalarSet(categories: "L")
    case "TITLECASE": table("Lt")
    case "PUNCTUATION": ScalarSet(categories: "P")
    case "CONTROL": table("Cc")
    case "DIGIT": table("Nd")
    case "ASSIGNED": table("Cn").inverted
    default: nil
    }
  }

  private init?(categories name: String) {
    if name == "LC" {
      self = Self.joined(["Lu", "Ll", "Lt"])
      return
    }
    let all = [
      "Cc", "Cf", "Cn", "Co", "Cs", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl", "No", "Pc", "Pd", "Pe",
      "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs",
    ]
    let chosen = name.utf8.count == 1 ? all.filter { $0.hasPrefix(name) } : all.filter { $0 == name }
    guard !chosen.isEmpty else { return nil }
    self = Self.joined(chosen)
  }

  private static func categoryName(_ category: Unicode.GeneralCategory) -> String {
    switch category {
    case .uppercaseLetter: "Lu"
    case .lowercaseLetter: "Ll"
    case .titlecaseLetter: "Lt"
    case .modifierLetter: "Lm"
    case .otherLetter: "Lo"
    case .nonspacingMark: "Mn"
    case .spacingMark: "Mc"
    case .enclosingMark: "Me"
    case .decimalNumber: "Nd"
    case .letterNumber: "Nl"
    case .otherNumber: "No"
    case .connectorPunctuation: "Pc"
    case .dashPunctuation: "Pd"
    case .openPunctuation: "Ps"
    case .closePunctuation: "Pe"
    case .initialPunctuation: "Pi"
    case .finalPunctuation: "Pf"
    case .otherPunctuation: "Po"
    case .mathSymbol: "Sm"
    case .currencySymbol: "Sc"
    case .modifierSymbol: "Sk"
    case .otherSymbol: "So"
    case .spaceSeparator: "Zs"
    case .lineSeparator: "Zl"
    case .paragraphSeparator: "Zp"
    case .control: "Cc"
    case .format: "Cf"
    case .surrogate: "Cs"
    case .privateUse: "Co"
    case .unassigned: "Cn"
    @unknown default: "Cn"
    }
  }
}
