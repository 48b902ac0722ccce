extension StoreError {
  /// A file's content that is not what the format says.
  static func corrupt(_ message: String) -> StoreError {
    StoreError(code: .corrupt, message: message)
  }

  /// The same error with the place before its message.
  func at(_ place: String) -> StoreError {
    var error = self
    error.message = "\(place): \(message)"
    return error
  }
}
