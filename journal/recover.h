/*
 * Recovery's verdicts, apart from the reading so that a test can walk every input. What is found at a
 * position of the log decides what becomes of it.
 */
#pragma once

enum recover_fact {
    FACT_VALID = 1,   /* a record with a right sum stands here; at a segment's start: its header */
    FACT_CHAINED = 2, /* and it carries the sum of the record before it */
    FACT_RESUMED = 4, /* the next block opens with a valid commit that chains: recovery cut here once, and the
                         log went on */
    FACT_LEFT =
        8, /* the next segment's header is valid and chains: the rest of this segment was left unwritten */
    FACT_PROOF = 16, /* something valid further on says that more than this was safe */
    FACTS_ALL = 31
};

enum recover_verdict {
    VERDICT_KEEP, /* the record is replayed */
    VERDICT_SKIP, /* go on in the next block */
    VERDICT_NEXT, /* go on in the next segment */
    VERDICT_CUT,  /* a torn end that was never confirmed: the log ends here */
    VERDICT_STOP, /* damage to confirmed data: nothing is changed, and the broker does not start */
};

enum recover_verdict recover_judge(unsigned facts);
