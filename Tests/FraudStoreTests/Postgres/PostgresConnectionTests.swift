import FraudCore
import FraudStore
import Testing

@Suite struct PostgresConnectionTests {
  @Test func parametersAndResultsRoundTrip() throws {
    var connection = try PostgresConnection(TestDatabase.make())
    let hostile = [
      "", "it's", "\"quoted\"", "back\\slash", "semi; DROP TABLE fraud.alerts; --", "$1", "naïve 😀 日本語", "line\nbreak",
      String(repeating: "long", count: 50_000), "\u{FEFF}bom", "{a,b}", "NULL",
    ]
    for text in hostile {
      let result = try connection.query(
        "SELECT $1::text, $2::text[]", [.text(text), .array(PostgresArray(texts: [text]))])
      #expect(try result.text(0, 0) == text)
    }
    let texts = try connection.query(
      "SELECT t FROM unnest($1::text[]) WITH ORDINALITY AS u(t, n) ORDER BY n", [.array(PostgresArray(texts: hostile))])
    for (row, text) in hostile.enumerated() { #expect(try texts.text(row, 0) == text) }

    let id = UniqueID.random()
    let bytes = (0...255).map { UInt8($0) }
    let values = try connection.query(
      """
      SELECT $1::bigint, $2::double precision, $3::boolean, $4::bytea, $5::uuid, $6::timestamptz, $7::jsonb,
             NULL::text, $8::text
      """,
      [
        .integer(.min), .double(-0.1), .boolean(true), .bytes(bytes), .id(id), .timestamp(-1), .json(Array("[1]".utf8)),
        .null,
      ])
    #expect(try values.integer(0, 0) == .min)
    #expect(try values.double(0, 1) == -0.1)
    #expect(try values.boolean(0, 2) == true)
    #expect(try values.bytes(0, 3) == bytes)
    #expect(try values.id(0, 4) == id)
    #expect(try values.timestamp(0, 5) == -1)
    #expect(try values.text(0, 6) == "[1]")
    let isNull = values.isNull(0, 7)
    #expect(isNull)
    #expect(try values.text(0, 8) == nil)
    #expect(throws: StoreError.self) { _ = try values.text(0, 0) }
    #expect(UniqueID(id.description) == id)
  }

  @Test func aTextWithNULIsRefusedWhole() throws {
    var connection = try PostgresConnection(TestDatabase.make())
    let error = #expect(throws: StoreError.self) {
      try connection.execute("SELECT $1::text", [.text("head\0tail")])
    }
    #expect(error?.sqlState == "22021")
    #expect(error?.isRetryable == false)
    #expect(try connection.query("SELECT 1::bigint").integer(0, 0) == 1)
  }

  @Test func copyWritesManyRows() throws {
    var connection = try PostgresConnection(TestDatabase.make())
    try connection.execute("CREATE TABLE public.copied (a bigint, b text)")
    var rows = PostgresCopyRows()
    for row in 0..<5_000 {
      rows.append([.integer(Int64(row)), row.isMultiple(of: 7) ? .null : .text("text \(row)\\N\t")])
    }
    #expect(try connection.copy("COPY public.copied FROM STDIN (FORMAT binary)", rows) == 5_000)
    let result = try connection.query("SELECT count(*), count(b), max(b) FROM public.copied")
    #expect(try result.integer(0, 0) == 5_000)
    #expect(try result.integer(0, 1) == 4_285)
    // A refused COPY leaves the connection usable.
    var wrong = PostgresCopyRows()
    wrong.append([.integer(1)])
    #expect(throws: StoreError.self) { _ = try connection.copy("COPY public.copied FROM STDIN (FORMAT binary)", wrong) }
    #expect(try connection.query("SELECT count(*) FROM public.copied").integer(0, 0) == 5_000)
  }

  @Test func aPipelineStopsAtTheFirstFailure() throws {
    var connection = try PostgresConnection(TestDatabase.make())
    try connection.execute("CREATE TABLE public.numbers (n bigint PRIMARY KEY)")
    let insert = "INSERT INTO public.numbers SELECT unnest($1::bigint[])"
    let counts = try connection.pipeline([
      (sql: "BEGIN", parameters: []), (sql: insert, parameters: [.array(PostgresArray(integers: [1, 2, 3]))]),
      (sql: insert, parameters: [.array(PostgresArray(integers: [4]))]), (sql: "COMMIT", parameters: []),
    ])
    #expect(counts == [0, 3, 1, 0])
    let error = #expect(throws: StoreError.self) {
      _ = try connection.pipeline([
        (sql: "BEGIN", parameters: []), (sql: insert, parameters: [.array(PostgresArray(integers: [1]))]),
        (sql: "COMMIT", parameters: []),
      ])
    }
    #expect(error?.sqlState == "23505")
    try connection.execute("ROLLBACK")
    #expect(try connection.query("SELECT count(*) FROM public.numbers").integer(0, 0) == 4)
  }

  @Test func aTransactionThatThrowsLeavesNothing() throws {
    var connection = try PostgresConnection(TestDatabase.make())
    try connection.execute("CREATE TABLE public.numbers (n bigint)")
    #expect(throws: StoreError.self) {
      try connection.transaction { connection throws(StoreError) in
        try connection.execute("INSERT INTO public.numbers VALUES (1)")
        throw StoreError(code: .query, message: "stop")
      }
    }
    #expect(try connection.query("SELECT count(*) FROM public.numbers").integer(0, 0) == 0)
  }

  @Test func aKilledBackendIsALostConnection() throws {
    let address = try TestDatabase.make()
    var victim = try PostgresConnection(address)
    var killer = try PostgresConnection(address)
    try killer.execute("SELECT pg_terminate_backend($1::int, 5000)", [.integer(Int64(victim.backendProcess))])
    let error = #expect(throws: StoreError.self) { try victim.execute("SELECT 1") }
    #expect(error?.code == .unavailable)
    #expect(error?.isRetryable == true)
    let isConnected = victim.isConnected
    #expect(!isConnected)
  }

  @Test func namesOutsideThePinnedPathAreNotFound() throws {
    var connection = try PostgresConnection(TestDatabase.make())
    #expect(throws: StoreError.self) { try connection.execute("SELECT * FROM fraud_alerts") }
    #expect(try connection.query("SELECT count(*) FROM public.fraud_alerts").integer(0, 0) == 0)
  }

  @Test func anAbsentServerIsUnavailable() throws {
    let error = #expect(throws: StoreError.self) {
      _ = try PostgresConnection(PostgresAddress("postgresql://me:s3cret@127.0.0.1:1/shop"))
    }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("postgresql://me@127.0.0.1:1/shop") == true)
    #expect(error?.message.contains("s3cret") == false)
  }

  @Test(arguments: [
    ("postgresql://me:s3cret@db.example:5433/shop", "postgresql://me@db.example:5433/shop"),
    ("postgres://me:s3cret@[::1]/shop?sslmode=require&password=s3cret", "postgresql://me@[::1]/shop?sslmode=require"),
    ("host=/run/pg dbname=shop user=me password='s3cret x'", "postgresql://me@/shop?host=%2Frun%2Fpg"),
    ("postgresql:///shop?host=/run/pg&port=5433&passfile=/s3cret", "postgresql:///shop?host=%2Frun%2Fpg&port=5433"),
    ("postgresql://%6de:s3cret@a,b/shop?sslpassword=s3cret", "postgresql://me@/shop?host=a%2Cb&port=%2C"),
    ("dbname=shop options=s3cret", "postgresql:///shop"),
  ])
  func addressesAreShownWithoutSecrets(text: String, shown: String) throws {
    #expect(try PostgresAddress(text).description == shown)
  }

  @Test(arguments: ["postgresql://me:s3cret@host:x y/%zz", "s3cret", "password='s3cret"])
  func anAddressThatCannotBeReadIsNotRepeated(text: String) {
    let error = #expect(throws: StoreError.self) { _ = try PostgresAddress(text) }
    #expect(error?.message.contains("s3cret") == false)
  }
}
