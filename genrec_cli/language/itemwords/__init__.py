"""Items and users as words: the ids that P5 and masked GenRec read and write in titles' place."""
