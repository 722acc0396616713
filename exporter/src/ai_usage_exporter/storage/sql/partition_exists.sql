-- Tell whether a month has its partition; asked first, because creating one takes locks.
-- Parameters: $1 name of the table.
SELECT to_regclass($1) IS NOT NULL
