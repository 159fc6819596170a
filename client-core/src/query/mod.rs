//! What screens ask: lists, one record, search. Views of lists read projection rows and never open a document.
