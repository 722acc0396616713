"""Between the receiver and the database: submissions become batches, batches become transactions."""
