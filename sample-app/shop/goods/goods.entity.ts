import { ApiProperty } from '@nestjs/swagger';
import { Column, Entity, PrimaryColumn, VersionColumn } from 'typeorm';

@Entity('goods')
export class Goods {
  @ApiProperty()
  @PrimaryColumn('integer')
  id!: number;

  @ApiProperty()
  @Column('text')
  name!: string;

  @ApiProperty()
  @Column('integer')
  stock!: number;

  /** Increases by one with every change. */
  @ApiProperty()
  @VersionColumn({ default: 1 })
  version!: number;
}
