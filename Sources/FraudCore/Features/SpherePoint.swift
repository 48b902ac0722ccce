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

  /// The place at a latitude from −90 to 90 and a longitude in degrees, or `nil` where that is no place.
  init?(latitude: Double, longitude: Double) {
    guard latitude >= -90, latitude <= 90, longitude >= -360, longitude <= 360 else { return nil }
    let radians = Double.pi / 180
    let (phi, lambda) = (latitude * radians, longitude * radians)
    let ring = Mathematics.cos(phi)
    x = ring * Mathematics.cos(lambda)
    y = ring * Mathematics.sin(lambda)
    z = Mathematics.sin(phi)
  }

  /// The great-circle distance.
  func kilometres(to other: SpherePoint) -> Double {
    let (dx, dy, dz) = (x - other.x, y - other.y, z - other.z)
    let chord = (dx * dx + dy * dy + dz * dz).squareRoot()
    return 2 * Self.earthRadiusKm * Mathematics.asin(Swift.min(1, chord / 2))
  }
}

/// Kilometres an hour of a move; moves within the same second are taken to last one.
func impliedSpeed(kilometres: Double, microseconds: Int64) -> Double {
  kilometres * 3_600_000_000 / Double(Swift.max(microseconds, 1_000_000))
}
