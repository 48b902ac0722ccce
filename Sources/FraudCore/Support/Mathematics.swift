// The only file of FraudCore that imports the C library, for the functions that the standard library lacks.
//
// They are correctly rounded by no standard, so results may differ in the last place between platforms; on one platform
// they do not. `rounded()` is here too: it does not link without the library on Linux.

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Functions of real numbers, by the C library.
package enum Mathematics {
  package static func exp(_ x: Double) -> Double { libExp(x) }
  package static func ln(_ x: Double) -> Double { libLog(x) }
  package static func log10(_ x: Double) -> Double { libLog10(x) }
  package static func log2(_ x: Double) -> Double { libLog2(x) }
  package static func sin(_ x: Double) -> Double { libSin(x) }
  package static func cos(_ x: Double) -> Double { libCos(x) }
  package static func tan(_ x: Double) -> Double { libTan(x) }
  package static func asin(_ x: Double) -> Double { libAsin(x) }
  package static func acos(_ x: Double) -> Double { libAcos(x) }
  package static func atan(_ x: Double) -> Double { libAtan(x) }
  package static func atan2(_ y: Double, _ x: Double) -> Double { libAtan2(y, x) }
  package static func hypot(_ x: Double, _ y: Double) -> Double { libHypot(x, y) }
  /// The cube root. The C library's is off by one in the last place for as simple a number as 27; one step of Newton's
  /// method on the exact error mends it.
  package static func cbrt(_ x: Double) -> Double {
    let root = libCbrt(x)
    let square = root * root
    let cube = square * root
    guard cube.isNormal else { return root }
    let squareError = (-square).addingProduct(root, root)
    let cubeError = (-cube).addingProduct(square, root)
    return root - ((cube - x) + (cubeError + squareError * root)) / (3 * square)
  }
  package static func expm1(_ x: Double) -> Double { libExpm1(x) }
  package static func log1p(_ x: Double) -> Double { libLog1p(x) }
  package static func sinh(_ x: Double) -> Double { libSinh(x) }
  package static func cosh(_ x: Double) -> Double { libCosh(x) }
  package static func tanh(_ x: Double) -> Double { libTanh(x) }
  package static func sqrt(_ x: Double) -> Double { x.squareRoot() }
  package static func remainder(_ x: Double, _ y: Double) -> Double { libFmod(x, y) }

  /// x to the power y as Java's `Math.pow`: a NaN exponent gives NaN even for the base 1, and so do ±1 to an infinity.
  package static func pow(_ x: Double, _ y: Double) -> Double {
    if y.isNaN || (x.magnitude == 1 && y.isInfinite) { return .nan }
    return libPow(x, y)
  }

  package static func floor(_ x: Double) -> Double { x.rounded(.down) }
  package static func ceiling(_ x: Double) -> Double { x.rounded(.up) }
  package static func truncate(_ x: Double) -> Double { x.rounded(.towardZero) }
  package static func roundHalfEven(_ x: Double) -> Double { x.rounded(.toNearestOrEven) }
}

private func libExp(_ x: Double) -> Double { exp(x) }
private func libLog(_ x: Double) -> Double { log(x) }
private func libLog10(_ x: Double) -> Double { log10(x) }
private func libLog2(_ x: Double) -> Double { log2(x) }
private func libSin(_ x: Double) -> Double { sin(x) }
private func libCos(_ x: Double) -> Double { cos(x) }
private func libTan(_ x: Double) -> Double { tan(x) }
private func libAsin(_ x: Double) -> Double { asin(x) }
private func libAcos(_ x: Double) -> Double { acos(x) }
private func libAtan(_ x: Double) -> Double { atan(x) }
private func libAtan2(_ y: Double, _ x: Double) -> Double { atan2(y, x) }
private func libHypot(_ x: Double, _ y: Double) -> Double { hypot(x, y) }
private func libCbrt(_ x: Double) -> Double { cbrt(x) }
private func libFmod(_ x: Double, _ y: Double) -> Double { fmod(x, y) }
private func libPow(_ x: Double, _ y: Double) -> Double { pow(x, y) }
private func libExpm1(_ x: Double) -> Double { expm1(x) }
private func libLog1p(_ x: Double) -> Double { log1p(x) }
private func libSinh(_ x: Double) -> Double { sinh(x) }
private func libCosh(_ x: Double) -> Double { cosh(x) }
private func libTanh(_ x: Double) -> Double { tanh(x) }
