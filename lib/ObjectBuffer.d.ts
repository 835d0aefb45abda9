import { ObjectBuffer } from '../index';

export = ObjectBuffer;
