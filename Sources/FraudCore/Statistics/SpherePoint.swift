/// A place on the unit sphere.
///
/// Of two such points half the chord is the sine of half the angle, which is the haversine formula without the cancellation
/// of angles: the distance is exact to about 10⁻⁹ m for near places, and poles and antimeridian are nothing special.
struct SpherePoint: Sendable, Hashable {
  /// The radius that S2's detectors use, the mean of the Earth.
  static let earthRadiusKm = 6_371.0

  var x: Double
  var y: Double
  var z: Double

  init(x: Double, y: Double, z: Double) { (self.x, self.y, self.z) = (x, y, z) }

  /// The place at a latitude from −90 to 90 and a longitude from −360 to 360 in degrees, or `nil` where that is no place.
  init?(latitude: Double, longitude: Double) {
    guard latitude >= -90, latitude <= 90, longitude >= -360, longitude <= 360 else { return nil }
    let (sine, cosine) = sineAndCosine(SIMD2(latitude, longitude) * (.pi / 180))
    x = cosine[0] * cosine[1]
    y = cosine[0] * sine[1]
    z = sine[0]
  }

  /// The great-circle distance.
  func kilometres(to other: SpherePoint) -> Double {
    let (dx, dy, dz) = (x - other.x, y - other.y, z - other.z)
    let chord = (dx * dx + dy * dy + dz * dz).squareRoot()
    return 2 * Self.earthRadiusKm * arcsine(Swift.min(1, chord / 2))
  }
}

/// Kilometres an hour of a move; moves within the same second are taken to last one.
func impliedSpeed(kilometres: Double, microseconds: Int64) -> Double {
  kilometres * 3_600_000_000 / Double(Swift.max(microseconds, 1_000_000))
}

/// Sine and cosine of two angles of at most ±2π at once, within 2 units of the last place of 1.
///
/// Four calls of the C library took half of a place's time.
/// - Source: the kernels of FreeBSD's msun (`k_sin.c`, `k_cos.c`): Taylor-like polynomials on ±π/4, after taking away a
///   multiple of π/2 in two parts.
private func sineAndCosine(_ angle: SIMD2<Double>) -> (sine: SIMD2<Double>, cosine: SIMD2<Double>) {
  // Adding and subtracting 1.5 · 2^52 rounds to the nearest integer.
  let rounder = SIMD2<Double>(repeating: 6_755_399_441_055_744)
  let shifted = angle * SIMD2(repeating: 2 / .pi) + rounder
  let turns = shifted - rounder
  let r = (angle - turns * 1.570_796_326_734_125_614_2) - turns * 6.077_100_506_506_192_249_3e-11
  let z = r * r
  var p = z * 1.589_690_995_211_55e-10 + (-2.505_076_025_340_686_34e-8)
  p = p * z + 2.755_731_370_707_006_77e-6
  p = p * z + (-1.984_126_982_985_795e-4)
  p = p * z + 8.333_333_333_322_489_46e-3
  p = p * z + (-1.666_666_666_666_663_24e-1)
  let sine = r + r * z * p
  var q = z * (-1.135_964_755_778_819_48e-11) + 2.087_572_321_298_174_83e-9
  q = q * z + (-2.755_731_435_139_066_33e-7)
  q = q * z + 2.480_158_728_947_673e-5
  q = q * z + (-1.388_888_888_887_41e-3)
  q = q * z + 4.166_666_666_666_66e-2
  let cosine = (1 - z * 0.5) + z * z * q
  let quadrant = SIMD2<UInt64>(shifted[0].bitPattern, shifted[1].bitPattern)
  let isOdd = (quadrant & 1) .== 1
  var sineOut = sine.replacing(with: cosine, where: isOdd)
  var cosineOut = cosine.replacing(with: sine, where: isOdd)
  sineOut = sineOut.replacing(with: -sineOut, where: (quadrant & 2) .== 2)
  cosineOut = cosineOut.replacing(with: -cosineOut, where: ((quadrant &+ 1) & 2) .== 2)
  return (sineOut, cosineOut)
}

/// The arcsine of 0 to 1: below a half, where nearly every move lies, without a call.
///
/// - Source: FreeBSD's msun, `e_asin.c`.
private func arcsine(_ x: Double) -> Double {
  guard x < 0.5 else { return Mathematics.asin(x) }
  let t = x * x
  var p = t * 3.479_331_075_960_211_675_7e-5 + 7.915_349_942_898_145_321_76e-4
  p = p * t + (-4.005_553_450_067_941_140_27e-2)
  p = p * t + 2.012_125_321_348_629_258_81e-1
  p = p * t + (-3.255_658_186_224_009_154_05e-1)
  p = (p * t + 1.666_666_666_666_666_574_15e-1) * t
  var q = t * 7.703_815_055_590_193_527_91e-2 + (-6.882_839_716_054_532_930_3e-1)
  q = q * t + 2.020_945_760_233_505_694_71
  q = q * t + (-2.403_394_911_734_414_218_78)
  q = q * t + 1
  return x + x * (p / q)
}
