#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

/* rd_kafka_producev() takes its fields as variable arguments, which Swift cannot pass. The value and the key are
 * copied. A negative partition lets the partitioner choose, timestamp 0 means now, headers may be NULL; on success
 * they belong to librdkafka. */
static inline rd_kafka_resp_err_t fraud_kafka_produce(
    rd_kafka_t *client, const char *topic, int32_t partition, const void *key, size_t key_count, const void *value,
    size_t value_count, int64_t timestamp_ms, rd_kafka_headers_t *headers) {
  if (headers) {
    return rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(key, key_count), RD_KAFKA_V_VALUE((void *)value, value_count),
        RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
  }
  return rd_kafka_producev(
      client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_KEY(key, key_count), RD_KAFKA_V_VALUE((void *)value, value_count),
      RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_END);
}
