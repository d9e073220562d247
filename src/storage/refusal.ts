/** This data folder must not be opened by this member; the message is one sentence for whoever started it. */
export class StorageRefusal extends Error {
  override readonly name = "StorageRefusal";
}
