import ArgumentParser
import FraudCore
import FraudKafka
import FraudStore

/// A message for stderr and the exit code that goes with it (`CONTRACTS.md`, Command line).
struct Failure: Error {
  var code: ExitCode
  var message: String

  /// The definition is invalid, or an input is unusable as a whole.
  static func invalid(_ message: String) -> Failure { Failure(code: .invalidInput, message: message) }
  /// A server does not answer.
  static func unavailable(_ message: String) -> Failure { Failure(code: .unavailable, message: message) }
  /// It failed while running.
  static func failed(_ message: String) -> Failure { Failure(code: .failure, message: message) }
}

extension ExitCode {
  static let usage = ExitCode(64)
  static let invalidInput = ExitCode(65)
  static let unavailable = ExitCode(69)
  static let interrupted = ExitCode(130)
}

/// Runs a command's body and turns what it throws into a message on stderr and the exit code of the contract.
func reporting<Result>(_ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch {
    throw exit(for: error)
  }
}

/// Prints an error as people should see it and says which exit code it gives.
private func exit(for error: any Error) -> any Error {
  switch error {
  case let failure as Failure:
    Terminal.standardError.message(failure.message, style: .failure)
    return failure.code
  case let error as DefinitionError:
    let count = error.problems.count
    Terminal.standardError.message(
      "the definition has \(count) mistake\(count == 1 ? "" : "s")\n"
        + error.problems.map { problem in
          (problem.line > 0 ? "  \(problem.line):\(problem.column): " : "  ") + problem.description
        }.joined(separator: "\n"),
      style: .failure)
    return ExitCode.invalidInput
  case let error as StoreError:
    Terminal.standardError.message(error.message, style: .failure)
    switch error.code {
    case .unavailable, .cluster: return ExitCode.unavailable
    case .corrupt, .refused: return ExitCode.invalidInput
    default: return ExitCode.failure
    }
  case let error as KafkaError:
    Terminal.standardError.message(error.message, style: .failure)
    return error.code == .unavailable || error.code == .timedOut ? ExitCode.unavailable : ExitCode.failure
  default:
    return error
  }
}
