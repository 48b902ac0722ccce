/// A column that shows a timestamp as the wall clock of a time zone does: its hour, day and weekday are the local ones.
struct LocalTime: Sendable {
  let column: Int
  let input: Int
  let zone: TimeZones.Zone

  func write(to batch: inout EventBatch) {
    for row in 0..<batch.rowCount where batch.isValid(column: input, row: row) {
      let time = Int64(bitPattern: batch.word(column: input, row: row))
      let seconds = Calendar.floorDivide(time, 1_000_000)
      let offset =
        switch zone {
        case .offset(let seconds): seconds
        case .rules(let rules): rules.offset(atUTC: seconds)
        }
      batch.words[column * batch.stride + row] = UInt64(bitPattern: time &+ offset &* 1_000_000)
      batch.validity[column * batch.bitmapStride + row >> 6] |= 1 << UInt64(row & 63)
    }
  }
}
