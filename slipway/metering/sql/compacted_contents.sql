-- One row: what a compacted object holds. bit_xor does not care for the order of rows, and sum for none either; both
-- look at every value of every row.
SELECT
    count(*), count(*) FILTER (WHERE reason IS NULL), coalesce(sum(input_tokens + output_tokens), 0)::BIGINT,
    coalesce(bit_xor(hash(line_of_usage)), 0)::VARCHAR || ' ' || coalesce(sum(hash(line_of_usage)::HUGEINT), 0)::VARCHAR,
    version()
FROM {source} AS line_of_usage;
