import Foundation
import FraudCore

/// Plots as inline SVG. Colours are classes of the page's style sheet, so they follow its light and dark schemes.
enum BacktestPlots {
  /// One series of a plot over days.
  struct Series {
    var name: String
    /// The style class, `s1` to `s4`.
    var style: String
    var values: [Double]
  }

  private static let width = 1_040.0
  private static let left = 56.0
  private static let right = 12.0
  private static let top = 12.0
  private static let bottom = 28.0

  /// Lines over days, the first one filled below.
  static func lines(days: [Int64], series: [Series], height: Double = 260) -> String {
    guard let first = days.first, let last = days.last else { return "" }
    let scale = Scale(upTo: series.flatMap(\.values).max() ?? 0, height: height)
    let span = Double(max(1, last - first))
    func x(_ day: Int64) -> Double {
      left + (width - left - right) * (days.count == 1 ? 0.5 : Double(day - first) / span)
    }
    var svg = open(height: height) + scale.grid(width: width) + dates(first, last, height: height, x)
    for (index, one) in series.enumerated().reversed() {
      let points = zip(days, one.values).map { "\(number(x($0))),\(number(scale.y($1)))" }
      if index == 0, let start = points.first, days.count > 1 {
        let base = number(scale.y(0))
        svg += "<path class='area \(one.style)' d='M\(number(x(first))),\(base) L\(start) "
        svg += points.dropFirst().map { "L\($0) " }.joined() + "L\(number(x(last))),\(base) Z'/>"
      }
      svg += "<polyline class='line \(one.style)' points='\(points.joined(separator: " "))'/>"
      if days.count <= 62 {
        for (day, value) in zip(days, one.values) {
          svg += "<circle class='dot \(one.style)' cx='\(number(x(day)))' cy='\(number(scale.y(value)))' r='2.6'>"
          svg += title(day, [one], at: days.firstIndex(of: day) ?? 0) + "</circle>"
        }
      }
    }
    // A strip a day that answers the pointer with all its numbers.
    let step = (width - left - right) / Double(max(1, last - first))
    for (index, day) in days.enumerated() {
      svg += "<rect class='hit' x='\(number(x(day) - step / 2))' y='\(number(top))' width='\(number(step))' "
      svg += "height='\(number(height - top - bottom))'>\(title(day, series, at: index))</rect>"
    }
    return svg + "</svg>"
  }

  /// Stacked bars, one a day.
  static func bars(days: [Int64], series: [Series], height: Double = 220) -> String {
    guard let first = days.first, let last = days.last else { return "" }
    let sums = days.indices.map { index in series.reduce(0) { $0 + $1.values[index] } }
    let scale = Scale(upTo: sums.max() ?? 0, height: height)
    let slot = (width - left - right) / Double(last - first + 1)
    func x(_ day: Int64) -> Double { left + slot * (Double(day - first) + 0.5) }
    let bar = min(36, max(0.8, slot * 0.72))
    var svg = open(height: height) + scale.grid(width: width) + dates(first, last, height: height, x)
    for (index, day) in days.enumerated() {
      var base = 0.0
      svg += "<g>"
      for one in series where one.values[index] > 0 {
        let (low, high) = (scale.y(base), scale.y(base + one.values[index]))
        svg += "<rect class='bar \(one.style)' x='\(number(x(day) - bar / 2))' y='\(number(high))' "
        svg += "width='\(number(bar))' height='\(number(low - high))'/>"
        base += one.values[index]
      }
      svg += title(day, series, at: index) + "</g>"
    }
    return svg + "</svg>"
  }

  /// Two histograms of scores beside each other, each relative to its own sum.
  static func scores(_ bins: [(genuine: Int, fraud: Int)], scoreMax: Double, hasLabels: Bool) -> String {
    let height = 220.0
    let sums = (bins.reduce(0) { $0 + $1.genuine }, bins.reduce(0) { $0 + $1.fraud })
    let shares = bins.map {
      (sums.0 == 0 ? 0 : Double($0.genuine) / Double(sums.0), sums.1 == 0 ? 0 : Double($0.fraud) / Double(sums.1))
    }
    let scale = Scale(upTo: shares.map { max($0.0, $0.1) }.max() ?? 0, height: height, isShare: true)
    let slot = (width - left - right) / Double(bins.count)
    var svg = open(height: height) + scale.grid(width: width)
    for (index, share) in shares.enumerated() {
      let start = left + slot * Double(index)
      let low = scoreMax * Double(index) / Double(bins.count)
      let columns: [(Double, String, Int, String)] =
        hasLabels
        ? [(share.0, "s2", bins[index].genuine, "genuine"), (share.1, "s4", bins[index].fraud, "fraud")]
        : [(share.0, "s1", bins[index].genuine, "events")]
      let bar = slot * 0.8 / Double(columns.count)
      for (place, column) in columns.enumerated() where column.0 > 0 {
        let high = scale.y(column.0)
        svg +=
          "<rect class='bar \(column.1)' x='\(number(start + slot * 0.1 + bar * Double(place)))' y='\(number(high))' "
        svg += "width='\(number(bar))' height='\(number(scale.y(0) - high))'><title>score from \(tick(low)): "
        svg += "\(grouped(column.2)) \(column.3)</title></rect>"
      }
      if index % 4 == 0 { svg += label(tick(low), x: start, y: height - 8, anchor: "middle") }
    }
    svg += label(tick(scoreMax), x: width - right, y: height - 8, anchor: "end")
    return svg + "</svg>"
  }

  // MARK: Parts

  /// Values upwards from zero, with round marks.
  private struct Scale {
    let limit: Double
    let step: Double
    let height: Double
    let isShare: Bool

    init(upTo maximum: Double, height: Double, isShare: Bool = false) {
      let rough = max(maximum, isShare ? 0.01 : 1) / 4
      let power = pow(10, floor(log10(rough)))
      let step = [1, 2, 2.5, 5, 10].map { $0 * power }.first { $0 >= rough } ?? rough
      self.step = isShare ? step : max(1, step.rounded(.up))
      limit = max(self.step, (maximum / self.step).rounded(.up) * self.step)
      self.height = height
      self.isShare = isShare
    }

    func y(_ value: Double) -> Double { top + (height - top - bottom) * (1 - value / limit) }

    func grid(width: Double) -> String {
      var svg = ""
      var value = 0.0
      while value <= limit * 1.001 {
        let place = number(y(value))
        svg += "<line class='grid' x1='\(number(left))' x2='\(number(width - right))' y1='\(place)' y2='\(place)'/>"
        let text = isShare ? "\(tick(value * 100)) %" : short(value)
        svg += label(text, x: left - 8, y: y(value) + 4, anchor: "end")
        value += step
      }
      return svg
    }
  }

  private static func open(height: Double) -> String {
    "<svg viewBox='0 0 \(number(width)) \(number(height))' role='img'>"
  }

  /// Dates below, as many as fit.
  private static func dates(_ first: Int64, _ last: Int64, height: Double, _ x: (Int64) -> Double) -> String {
    let days = last - first
    let step = [1, 2, 7, 14, 28, 61, 91, 182, 365].first { days / Int64($0) <= 9 }.map { Int64($0) } ?? days / 8
    return stride(from: first, through: last, by: Int(max(1, step))).enumerated().map { index, day in
      let date = TimestampText.date(days: Int(day))
      // The year stands at the first mark and where it changes.
      let isFirstOfYear = index == 0 || TimestampText.date(days: Int(day - step)).year != date.year
      let text = "\(date.day) \(months[date.month - 1])" + (isFirstOfYear ? " \(date.year)" : "")
      return label(text, x: min(x(day), width - right - 20), y: height - 8, anchor: "middle")
    }.joined()
  }

  private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

  private static func title(_ day: Int64, _ series: [Series], at index: Int) -> String {
    let parts = series.map { "\($0.name) \(grouped(Int($0.values[index])))" }
    return "<title>\(TimestampText.dateText(days: Int(day))): \(escaped(parts.joined(separator: ", ")))</title>"
  }

  private static func label(_ text: String, x: Double, y: Double, anchor: String) -> String {
    "<text x='\(number(x))' y='\(number(y))' text-anchor='\(anchor)'>\(text)</text>"
  }

  private static func number(_ value: Double) -> String {
    let tenths = (value * 10).rounded() / 10
    return tenths == tenths.rounded() ? String(Int(tenths)) : String(format: "%.1f", tenths)
  }

  private static func tick(_ value: Double) -> String {
    value == value.rounded() ? String(Int(value)) : String(format: "%g", (value * 100).rounded() / 100)
  }

  private static func short(_ value: Double) -> String {
    value >= 1_000_000 ? "\(tick(value / 1_000_000)) M" : grouped(Int(value))
  }
}

/// Text fit for HTML.
func escaped(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    case "'": result += "&#39;"
    case _ where scalar.value < 0x20 || scalar.value == 0x7F: result += "\u{FFFD}"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}
