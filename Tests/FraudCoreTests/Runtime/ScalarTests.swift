import TestRandom
import Testing

@testable import FraudCore

/// One evaluation of the scalar entry, for terse cases.
private func call(
  _ operation: FraudCore.Operation, _ arguments: [Value], _ types: [DataType], _ result: DataType
) -> Result<Value, EvaluationError> {
  do throws(EvaluationError) {
    return .success(try evaluate(operation, arguments, types: types, result: result))
  } catch {
    return .failure(error)
  }
}

private func text(_ string: String) -> Value { .string(Array(string.utf8)) }

private func cast(_ string: String, to type: DataType) -> Result<Value, EvaluationError> {
  call(.cast, [text(string)], [.string], type)
}

@Suite struct ScalarCastTests {
  @Test(arguments: [
    ("1e3", 1000.0), (".5", 0.5), ("5.", 5), ("100d", 100), ("100F", 100), (" \t1\n", 1), ("0x1p3", 8), ("0x.8p1", 1),
    ("1e400", .infinity), ("-1e400", -.infinity), ("1e-400", 0), ("inf", .infinity), ("-Infinity", -.infinity),
    ("0.1", 0.1), ("9007199254740993", 9_007_199_254_740_992), ("2.2250738585072012e-308", 2.2250738585072014e-308),
    ("123456789012345678901234567890", 1.2345678901234568e29), ("1e23", 1e23), ("8.5e22", 8.5e22),
    ("0000000000000000000000000000000000000000001.5", 1.5),
  ])
  func textToDouble(_ written: String, _ expected: Double) {
    #expect(cast(written, to: .double) == .success(.double(expected)))
  }

  @Test(arguments: [
    "", " ", "1_000", "0x10", "1L", "1e", "e5", ".", "+", "1 2", "infinit", "1.2.3", "\u{3000}1", "0xp1",
  ])
  func notADouble(_ written: String) {
    #expect(cast(written, to: .double) == .failure(.castInvalidInput))
  }

  @Test(arguments: [
    ("7", 7), ("-0", 0), ("+5", 5), ("\t7\n", 7), ("9223372036854775807", .max), ("-9223372036854775808", .min),
  ])
  func textToBigint(_ written: String, _ expected: Int64) {
    #expect(cast(written, to: .bigint) == .success(.integer(expected)))
  }

  @Test(arguments: ["", "1.0", "1e0", "-", "9223372036854775808", "1 ", "\u{A0}1", "１"])
  func notABigint(_ written: String) {
    // Trailing ASCII spaces are trimmed, all else is not.
    let expected: Result<Value, EvaluationError> = written == "1 " ? .success(.integer(1)) : .failure(.castInvalidInput)
    #expect(cast(written, to: .bigint) == expected)
  }

  @Test(arguments: [
    (100.0, "100.0"), (0.001, "0.001"), (1e-4, "1.0E-4"), (9_999_999, "9999999.0"), (1e7, "1.0E7"), (-0.0, "-0.0"),
    (.nan, "NaN"), (-.infinity, "-Infinity"), (Double.leastNonzeroMagnitude, "4.9E-324"),
    (1.7976931348623157e308, "1.7976931348623157E308"),
    (0.1, "0.1"), (123456.789, "123456.789"), (12345678.9, "1.23456789E7"), (1e16, "1.0E16"), (-2.5, "-2.5"),
    (0.00123, "0.00123"), (9223372036854774784, "9.2233720368547748E18"), (0x1p63, "9.223372036854776E18"),
    (9007199254740992, "9.007199254740992E15"), (1e18, "1.0E18"), (1e21, "1.0E21"),
  ])
  func doubleToText(_ value: Double, _ expected: String) {
    #expect(call(.cast, [.double(value)], [.double], .string) == .success(text(expected)))
  }

  @Test func floatToText() {
    for (value, expected) in [(Float(2_147_483_648), "2.14748365E9"), (0.1, "0.1"), (16_777_216, "1.6777216E7")] {
      #expect(call(.cast, [.double(Double(value))], [.float], .string) == .success(text(expected)))
    }
  }

  @Test(arguments: [
    ("2024-02-29", 1_709_164_800_000_000), ("2024", 1_704_067_200_000_000), ("2024-2-9 1:2:3.5", 1_707_440_523_500_000),
    ("2024-12-01T11:00:00+01:00", 1_733_047_200_000_000), ("2024-12-01 11:00:00+1", 1_733_047_200_000_000),
    ("2024-12-01 11:00:00+1:0", 1_733_047_200_000_000), ("2024-12-01T10:00:00.", 1_733_047_200_000_000),
    ("2024-12-01T10:00:00.1234567Z", 1_733_047_200_123_456), ("2024-12-01 11:00:00 GMT+1", 1_733_047_200_000_000),
    ("2024-12-01 05:00:00 EST", 1_733_047_200_000_000), ("0001-01-01 00:00:00", -62_135_596_800_000_000),
  ])
  func textToTimestamp(_ written: String, _ expected: Int64) {
    #expect(cast(written, to: .timestamp) == .success(.integer(expected)))
  }

  @Test(arguments: [
    "", "24-01-01", "2023-02-29", "2024-12-01 24:00:00", "2024-12-01 10:00:60", "2024-12-01t10:00:00", "2024-12-01  10",
    "2024-12-01T10:00:00z", "2024-12-01 10:00 UTC", "10:00:00", "2024-12-", "2024-12-01T",
    "2024-12-01 10:00:00 Nowhere",
    "2024-12-01 10:00:00+19:00", "2024-13-01", "1234567-01-01",
  ])
  func notATimestamp(_ written: String) {
    #expect(cast(written, to: .timestamp) == .failure(.castInvalidInput))
  }

  @Test func decimals() {
    #expect(cast("1e3", to: .decimal(precision: 10, scale: 2)) == .success(.decimal(100_000)))
    #expect(cast("1.005", to: .decimal(precision: 10, scale: 2)) == .success(.decimal(101)))
    #expect(cast("-0.5", to: .decimal(precision: 10, scale: 0)) == .success(.decimal(-1)))
    #expect(cast("1e-50", to: .decimal(precision: 38, scale: 38)) == .success(.decimal(0)))
    #expect(cast("123456789.99", to: .decimal(precision: 10, scale: 2)) == .failure(.decimalOverflow))
    #expect(cast("1d", to: .decimal(precision: 10, scale: 2)) == .failure(.castInvalidInput))
    let type = DataType.decimal(precision: 38, scale: 7)
    #expect(call(.cast, [.decimal(1)], [type], .string) == .success(text("0.0000001")))
    #expect(call(.cast, [.decimal(-15_000_000)], [type], .string) == .success(text("-1.5000000")))
    #expect(call(.cast, [.double(2.675)], [.double], .decimal(precision: 10, scale: 2)) == .success(.decimal(268)))
  }

  @Test func integersFromDoubles() {
    #expect(call(.cast, [.double(2.9)], [.double], .int) == .success(.integer(2)))
    #expect(call(.cast, [.double(-2147483648.9)], [.double], .int) == .success(.integer(-2_147_483_648)))
    #expect(call(.cast, [.double(2147483648)], [.double], .int) == .failure(.castOverflow))
    #expect(call(.cast, [.double(.nan)], [.double], .bigint) == .failure(.castOverflow))
    #expect(call(.cast, [.double(0x1p63)], [.double], .bigint) == .success(.integer(.max)))
    #expect(call(.tryCast, [.double(.nan)], [.double], .bigint) == .success(.null))
  }
}

@Suite struct ScalarArithmeticTests {
  private func decimal(
    _ operation: Arithmetic, _ a: Int128, _ aScale: Int, _ b: Int128, _ bScale: Int, _ precision: Int, _ scale: Int
  ) -> Result<Value, EvaluationError> {
    call(
      .arithmetic(operation), [.decimal(a), .decimal(b)],
      [.decimal(precision: 38, scale: aScale), .decimal(precision: 38, scale: bScale)],
      .decimal(precision: precision, scale: scale))
  }

  @Test func decimalsAreExact() {
    #expect(decimal(.add, 1, 1, 2, 1, 2, 1) == .success(.decimal(3)))
    #expect(decimal(.divide, 100, 1, 30, 1, 9, 6) == .success(.decimal(3_333_333)))
    #expect(decimal(.multiply, 11, 1, 11, 1, 5, 2) == .success(.decimal(121)))
    #expect(decimal(.remainder, -105, 1, 3, 0, 2, 1) == .success(.decimal(-15)))
    #expect(decimal(.pmod, -7, 0, 3, 0, 2, 0) == .success(.decimal(2)))
    #expect(decimal(.pmod, 7, 0, -3, 0, 2, 0) == .success(.decimal(1)))
    #expect(decimal(.divide, 1, 0, 0, 0, 9, 6) == .failure(.divideByZero))
    let nines = Int128("99999999999999999999999999999999999999")!
    #expect(decimal(.add, nines, 0, 1, 0, 38, 0) == .failure(.decimalOverflow))
    #expect(decimal(.multiply, nines, 0, nines, 38, 38, 0) == .success(.decimal(nines - 1)))
    #expect(decimal(.multiply, nines, 19, nines, 19, 38, 0) == .success(.decimal(nines - 1)))
    #expect(decimal(.divide, nines, 0, 3, 38, 38, 6) == .failure(.decimalOverflow))
    #expect(decimal(.divide, 1, 38, nines, 0, 38, 6) == .success(.decimal(0)))
    #expect(
      decimal(.divide, 1, 0, 3, 0, 38, 37) == .success(.decimal(Int128("3333333333333333333333333333333333333")!)))
    #expect(decimal(.subtract, nines, 38, nines, 0, 38, 6) == .failure(.decimalOverflow))
  }

  @Test func decimalsAgreeWithLongDivision() {
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<2_000 {
      let a = Int128.random(in: -1_000_000_000_000...1_000_000_000_000, using: &generator)
      let b = Int128.random(in: -1_000_000...1_000_000, using: &generator)
      guard b != 0 else { continue }
      let scale = Int.random(in: 0...10, using: &generator)
      let exact = a * Int128(DecimalArithmetic.powersOfTen[scale])
      let (quotient, rest) = exact.magnitude.quotientAndRemainder(dividingBy: b.magnitude)
      let rounded = Int128(quotient) + (rest * 2 >= b.magnitude ? 1 : 0)
      let expected = (a < 0) != (b < 0) ? -rounded : rounded
      #expect(decimal(.divide, a, 0, b, 0, 38, scale) == .success(.decimal(expected)))
    }
  }

  @Test(arguments: [
    (Arithmetic.add, Int64.max, Int64(1)), (.multiply, .max, 2), (.subtract, .min, 1), (.negate, .min, 0),
    (.integralDivide, .min, -1),
  ])
  func integersOverflow(_ operation: Arithmetic, _ a: Int64, _ b: Int64) {
    #expect(
      call(.arithmetic(operation), [.integer(a), .integer(b)], [.bigint, .bigint], .bigint)
        == .failure(.arithmeticOverflow))
  }

  @Test func remainders() {
    func integers(_ operation: Arithmetic, _ a: Int64, _ b: Int64) -> Result<Value, EvaluationError> {
      call(.arithmetic(operation), [.integer(a), .integer(b)], [.bigint, .bigint], .bigint)
    }
    #expect(integers(.remainder, .min, -1) == .success(.integer(0)))
    #expect(integers(.remainder, -7, 3) == .success(.integer(-1)))
    #expect(integers(.pmod, -7, 3) == .success(.integer(2)))
    #expect(integers(.pmod, 7, -3) == .success(.integer(1)))
    #expect(integers(.remainder, 1, 0) == .failure(.remainderByZero))
    #expect(
      call(.arithmetic(.divide), [.double(1), .double(-0.0)], [.double, .double], .double) == .failure(.divideByZero))
    #expect(
      call(.arithmetic(.add), [.integer(127), .integer(1)], [.tinyint, .tinyint], .tinyint)
        == .failure(.arithmeticOverflow))
    #expect(call(.arithmetic(.divide), [.null, .double(0)], [.double, .double], .double) == .success(.null))
  }
}

@Suite struct ScalarFunctionTests {
  private func call(_ function: FraudCore.Function, _ arguments: [Value]) -> Result<Value, EvaluationError> {
    let types = arguments.map { value -> DataType in
      switch value {
      case .integer: .bigint
      case .double: .double
      case .boolean: .boolean
      default: .string
      }
    }
    return FraudCoreTests.call(.call(function), arguments, types, types.first ?? .string)
  }

  @Test(arguments: [
    ("ß", "SS", "ß"), ("ﬁ", "FI", "ﬁ"), ("İ", "İ", "i̇"), ("ΑΣ", "ΑΣ", "ας"), ("ΣΊΣΥΦΟΣ", "ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("aB1", "AB1", "ab1"), ("Σ", "Σ", "σ"),
  ])
  func cases(_ input: String, _ upper: String, _ lower: String) {
    #expect(call(.upper, [text(input)]) == .success(text(upper)))
    #expect(call(.lower, [text(input)]) == .success(text(lower)))
  }

  @Test(arguments: [
    (1, 3, "sus"), (0, 3, "sus"), (-2, 1, "s"), (-100, 3, ""), (5, 1, ""), (2, -1, ""), (-5, 3, "su"), (1, 100, "sus€"),
    (4, 1, "€"),
  ])
  func substring(_ start: Int64, _ count: Int64, _ expected: String) {
    #expect(call(.substring, [text("sus€"), .integer(start), .integer(count)]) == .success(text(expected)))
  }

  @Test func searching() {
    #expect(call(.locate, [text("a"), text("éaéa"), .integer(3)]) == .success(.integer(4)))
    #expect(call(.locate, [text(""), text("abc"), .integer(9)]) == .success(.integer(1)))
    #expect(call(.locate, [text("a"), text("a"), .integer(0)]) == .success(.integer(0)))
    #expect(call(.locate, [text("a"), .null, .null]) == .success(.integer(0)))
    #expect(call(.splitPart, [text("a.b.c"), text("."), .integer(-1)]) == .success(text("c")))
    #expect(call(.splitPart, [text("a.b.c"), text("."), .integer(4)]) == .success(text("")))
    #expect(call(.splitPart, [text("a.b.c"), text(""), .integer(1)]) == .success(text("a.b.c")))
    #expect(call(.splitPart, [text("a"), text("."), .integer(0)]) == .failure(.indexOfZero))
    #expect(call(.trim, [text("yxayx"), text("xy")]) == .success(text("a")))
    #expect(call(.replace, [text("aaa"), text(""), text("b")]) == .success(text("aaa")))
    #expect(call(.repeat, [text("ab"), .integer(.max)]) == .failure(.textTooLong))
  }

  @Test func digests() {
    #expect(call(.md5, [text("a")]) == .success(text("0cc175b9c0f1b6a831c399e269772661")))
    #expect(
      call(.md5, [text("12345678901234567890123456789012345678901234567890123456789012345678901234567890")])
        == .success(text("57edf4a22be3c955ac49da2e2107b67a")))
    #expect(call(.sha1, [text("abc")]) == .success(text("a9993e364706816aba3e25717850c26c9cd0d89d")))
    #expect(call(.crc32, [text("Spark")]) == .success(.integer(1_557_323_817)))
    #expect(
      call(.sha2, [text("abc"), .integer(224)])
        == .success(text("23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7")))
    #expect(
      call(.sha2, [text("abc"), .integer(512)])
        == .success(
          text(
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
          )))
    #expect(
      call(.sha2, [text("Spark"), .integer(256)])
        == .success(text("529bc3b07127ecb7e53a4dcf1991d9152c24537d919178022b2c42657f79a26b")))
    #expect(call(.soundex, [text("Miller")]) == .success(text("M460")))
    #expect(call(.levenshtein, [text("kitten"), text("sitting")]) == .success(.integer(3)))
    #expect(call(.base64, [text("Spark SQL")]) == .success(text("U3BhcmsgU1FM")))
  }

  @Test(arguments: [
    (2.675, 2, 2.68), (1.005, 2, 1.01), (-0.4, 0, -0.0), (2.5, 0, 3), (1234.5, -2, 1200), (0.5, 0, 1),
    (Double.leastNonzeroMagnitude, 3, 0),
  ])
  func rounding(_ value: Double, _ digits: Int64, _ expected: Double) {
    #expect(call(.round, [.double(value), .integer(digits)]) == .success(.double(expected)))
  }

  @Test func integersRound() {
    #expect(call(.round, [.integer(15), .integer(-1)]) == .success(.integer(20)))
    #expect(call(.round, [.integer(-15), .integer(-1)]) == .success(.integer(-20)))
    #expect(call(.bround, [.integer(25), .integer(-1)]) == .success(.integer(20)))
    #expect(call(.round, [.integer(.max), .integer(-1)]) == .failure(.arithmeticOverflow))
    #expect(call(.floor, [.double(0x1p63)]) == .failure(.arithmeticOverflow))
  }
}
